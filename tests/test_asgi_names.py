"""Names of endpoints under ASGI: the same ones with and without a task running, outside of the app and inside."""

from __future__ import annotations

import functools
import importlib.metadata
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from swprof_mw.application import Application
from swprof_mw.asgi import SWProfilerMiddleware, routes
from swprof_mw.names import UNMATCHED
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import EntrySpan
from tests.asgi_driver import REQUEST, Message, call, http, websocket
from tests.recorded import Recorded

SEEN: list[bool] = []
"""For each view or dependency that ran, whether its request was being profiled already."""


class NothingThere(Exception):
    """What a view fails with."""


def version(package: str) -> tuple[int, ...]:
    found = importlib.metadata.version(package)
    return tuple(int(part) for part in re.findall(r"\d+", found)[:3])


def see() -> None:
    span = current_request.get()
    SEEN.append(isinstance(span, EntrySpan) and span.profiler is not None)


async def view(request: Request) -> Response:
    see()
    return PlainTextResponse("here")


async def other_view(request: Request) -> Response:
    see()
    return PlainTextResponse("there")


def sync_view(request: Request) -> Response:
    see()
    return PlainTextResponse("on a worker")


async def failing_view(request: Request) -> Response:
    see()
    raise NothingThere


class Endpoint(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        see()
        return PlainTextResponse("class")


async def talk(socket: WebSocket) -> None:
    see()
    await socket.accept()
    await socket.close()


async def plain_app(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("plain")(scope, receive, send)


class Adapted:
    """An app of another framework with an adapter of ours, which only knows the prefix that it is served at."""

    def __init__(self, template: str | None) -> None:
        self._application = Application(7000, {"service_name": "shop"})
        self._template = template

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        root, path = scope["root_path"], scope["path"]
        span = self._application.begin(scope["method"], path if path.startswith(root) else root + path)
        assert span is not None
        span.route(self._template if self._template is None else root + self._template)
        see()
        await plain_app(scope, receive, send)


def starlette(*routes: Any) -> Starlette:
    return Starlette(routes=list(routes))


def sub_app(*routes: Any, **settings: Any) -> Starlette:
    """An app that has the middleware itself, as one that is served alone elsewhere would."""
    app = starlette(*routes)
    app.add_middleware(SWProfilerMiddleware, service_name="shop", **settings)
    return app


def leaf() -> list[Route]:
    return [Route("/leaf/{x}", view), Route("/", other_view)]


def fastapi_app(path: str = "/items/{item_id}") -> FastAPI:
    async def dependency() -> None:
        see()

    app = FastAPI()

    @app.get(path, dependencies=[Depends(dependency)])
    async def item(request: Request) -> str:
        see()
        return "item"

    @app.get("/sync/{x}")
    def sync(x: str) -> str:
        see()
        return x

    @app.websocket("/ws/{room}")
    async def room(socket: WebSocket, room: str) -> None:
        await talk(socket)

    return app


def api_router() -> APIRouter:
    router = APIRouter(prefix="/r/{tenant}")

    @router.get("/leaf/{x}")
    @router.get("/leaf2/{x}")
    async def item(tenant: str, x: str) -> str:
        see()
        return x

    @router.websocket("/ws/{room}")
    async def room(socket: WebSocket, room: str) -> None:
        await talk(socket)

    router.add_route("/plain/{x}", view)
    return router


def included() -> FastAPI:
    app, outer = FastAPI(), APIRouter(prefix="/v/{version}")
    outer.include_router(api_router(), prefix="/in")
    app.include_router(outer, prefix="/api")
    app.include_router(api_router(), prefix="/other")
    twice = api_router()
    app.include_router(twice, prefix="/one")
    app.include_router(twice, prefix="/two")
    return app


def included_mounts() -> FastAPI:
    app, router = FastAPI(), APIRouter()
    router.mount("/st/{kind}", starlette(*leaf()))
    router.mount("/fa", fastapi_app())
    app.include_router(router, prefix="/api/{v}")
    return app


def with_middleware(app: Any, *classes: Any, **options: Any) -> Any:
    for cls in classes:
        app.add_middleware(cls, **options)
    return app


class Guard:
    """Answers 401 before the router is asked."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        app = self.app if scope["type"] == "lifespan" else PlainTextResponse("who?", status_code=401)
        await app(scope, receive, send)


class Rewrite:
    """Takes a language off the path before the router sees it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["path"] = scope["path"].removeprefix("/de")
        await self.app(scope, receive, send)


def hidden(app: Any) -> Any:
    """A wrapper that does not show what it wraps."""

    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return wrapper


def copying(app: Any) -> Any:
    """A dispatcher that hands on a scope of its own."""

    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/sub", "path": scope["path"]}, receive, send)

    return wrapper


class Litestar:
    """Does what Litestar does to a scope. There, too, a mounted app has the template ""."""

    __module__ = "litestar.app"

    def __init__(self, template: str | None) -> None:
        self._template = template

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["app"] = self
        if self._template is not None:
            scope["path_template"] = self._template
            see()
        await plain_app(scope, receive, send)


def same_app_twice() -> Starlette:
    inner = starlette(*leaf())
    return starlette(Mount("/one/{a}", inner), Mount("/two/{b}", inner))


def cors(app: Any) -> Any:
    return with_middleware(app, CORSMiddleware, allow_origins=["*"])


def mounted_api(prefix: str) -> Starlette:
    return starlette(Mount(prefix, app=fastapi_app()))


def static() -> StaticFiles:
    return StaticFiles(directory=Path(__file__).parent)


class Case(NamedTuple):
    """A row of the table: ``views`` is how often our own code of a request's view runs, the dependency included."""

    name: str
    build: Callable[[], Any]
    scope: Message
    views: int = 1
    inside: bool = True  # whether the app takes middleware


PREFLIGHT = (("origin", "http://a.test"), ("access-control-request-method", "GET"))

CASES = [
    # Starlette
    Case("/items/{item_id}", lambda: starlette(Route("/items/{item_id}", view)), http("/items/7")),
    Case("/items/{item_id}", lambda: starlette(Route("/items/{item_id:int}", sync_view)), http("/items/7")),
    Case("/boom/{x}", lambda: starlette(Route("/boom/{x}", failing_view)), http("/boom/7")),
    Case("/", lambda: starlette(*leaf()), http("/")),
    Case("/c/{x}", lambda: starlette(Route("/c/{x}", Endpoint)), http("/c/7")),
    Case("/c/{x}", lambda: starlette(Route("/c/{x}", Endpoint)), http("/c/7", "DELETE"), views=0),  # 405 of the class
    Case("/p/{x}", lambda: starlette(Route("/p/{x}", functools.partial(view))), http("/p/7")),
    Case("/b/{x}", lambda: starlette(Route("/a/{x}", view), Route("/b/{x}", view)), http("/b/7")),
    Case(
        "/b/{x}",
        lambda: starlette(Route("/b/{x}", view, methods=["PUT"]), Route("/b/{x}", view), Route("/a/{x}", view)),
        http("/b/7"),
    ),
    Case(
        "/b/{x}", lambda: starlette(Route("/a/{x}", view), Route("/b/{x}", view)), http("/b/7", "PATCH"), views=0
    ),  # 405
    Case("/items/{x}", lambda: starlette(Route("/items/{x}", view)), http("/items/7", "HEAD")),
    Case("/items/{x}", lambda: starlette(Route("/items/{x}", view)), http("/items/7", "DELETE"), views=0),  # 405
    Case(UNMATCHED, lambda: starlette(Route("/items/{x}", view)), http("/nothing/7"), views=0),
    Case(UNMATCHED, lambda: starlette(Route("/items/{x}", view)), http("/items/7/"), views=0),  # redirected
    Case(UNMATCHED, lambda: with_middleware(starlette(*leaf()), Guard), http("/leaf/7"), views=0),
    Case(UNMATCHED, lambda: cors(starlette(*leaf())), http("/leaf/7", "OPTIONS", PREFLIGHT), views=0),
    Case("/leaf/{x}", lambda: cors(starlette(*leaf())), http("/leaf/7", headers=PREFLIGHT)),
    Case("/leaf/{x}", lambda: with_middleware(starlette(*leaf()), Rewrite), http("/de/leaf/7")),
    Case(
        "/b/{x}",
        lambda: with_middleware(starlette(Route("/a/{x}", view), Route("/b/{x}", view)), Rewrite),
        http("/de/b/7"),
    ),
    # Mounts
    Case("/m/leaf/{x}", lambda: starlette(Mount("/m", routes=leaf())), http("/m/leaf/7")),
    Case("/m/{t}/leaf/{x}", lambda: starlette(Mount("/m/{t}", routes=leaf())), http("/m/1/leaf/7")),
    Case("/m/{t}/", lambda: starlette(Mount("/m/{t}", routes=leaf())), http("/m/1/")),
    Case(
        "/m/{t}/leaf/{x}", lambda: starlette(Mount("/m/{t}", GZipMiddleware(starlette(*leaf())))), http("/m/1/leaf/7")
    ),
    Case("/m/{t}/leaf/{x}", lambda: starlette(Mount("/m/{t}", cors(starlette(*leaf())))), http("/m/1/leaf/7")),
    Case(
        "/a/{b}/c/{d}/leaf/{x}",
        lambda: starlette(Mount("/a/{b}", routes=[Mount("/c/{d}", routes=leaf())])),
        http("/a/1/c/2/leaf/3"),
    ),
    Case(UNMATCHED, lambda: starlette(Mount("/m/{t}", routes=leaf())), http("/m/1/nothing"), views=0),
    Case(UNMATCHED, lambda: starlette(Mount("/m", starlette(*leaf()))), http("/m/nothing"), views=0),
    Case("/two/{b}/leaf/{x}", same_app_twice, http("/two/1/leaf/2")),
    Case("/one/{a}/leaf/{x}", same_app_twice, http("/one/1/leaf/2")),
    Case(UNMATCHED, same_app_twice, http("/two/1/nothing"), views=0),
    Case("/static/{path}", lambda: starlette(Mount("/static", static())), http("/static/conftest.py"), views=0),
    Case("/static/{path}", lambda: starlette(Mount("/static", static())), http("/static/none.css"), views=0),
    Case("/m/{t}/{path}", lambda: starlette(Mount("/m/{t}", plain_app)), http("/m/1/a/b"), views=0),
    Case("/leaf/{x}", lambda: starlette(Host("shop.test", starlette(*leaf()))), http("/leaf/7")),
    Case("/m/leaf/{x}", lambda: starlette(Host("{h}.test", starlette(Mount("/m", routes=leaf())))), http("/m/leaf/7")),
    Case(UNMATCHED, lambda: starlette(Host("shop.test", starlette(*leaf()))), http("/nothing"), views=0),
    Case("/leaf/{x}", lambda: Router(leaf()), http("/leaf/7"), inside=False),
    Case(UNMATCHED, lambda: Router(leaf()), http("/nothing"), views=0, inside=False),
    # WebSockets
    Case("/ws/{room}", lambda: starlette(WebSocketRoute("/ws/{room}", talk)), websocket("/ws/7")),
    Case("/m/{t}/ws/{room}", lambda: starlette(Mount("/m/{t}", fastapi_app())), websocket("/m/1/ws/7")),
    Case("/ws/{room}", fastapi_app, websocket("/ws/7")),
    Case(UNMATCHED, fastapi_app, websocket("/nothing"), views=0),
    # FastAPI
    Case("/items/{item_id}", fastapi_app, http("/items/7"), views=2),
    Case("/sync/{x}", fastapi_app, http("/sync/7")),
    Case("/items/{item_id}", fastapi_app, http("/items/7", "POST"), views=0),  # 405
    Case("/items/{item_id}", fastapi_app, http("/items/7", "HEAD"), views=0),  # 405
    Case("/docs", fastapi_app, http("/docs"), views=0),
    Case(UNMATCHED, fastapi_app, http("/nothing"), views=0),
    Case(UNMATCHED, fastapi_app, http("/items/7/"), views=0),
    Case("/api/v/{version}/in/r/{tenant}/leaf/{x}", included, http("/api/v/2/in/r/3/leaf/4")),
    Case("/other/r/{tenant}/leaf2/{x}", included, http("/other/r/3/leaf2/4")),
    Case("/one/r/{tenant}/leaf/{x}", included, http("/one/r/3/leaf/4")),
    Case("/two/r/{tenant}/leaf/{x}", included, http("/two/r/3/leaf/4")),
    Case("/two/r/{tenant}/leaf/{x}", included, http("/two/r/3/leaf/4", "POST"), views=0),
    Case("/two/plain/{x}", included, http("/two/plain/4")),
    Case("/two/r/{tenant}/ws/{room}", included, websocket("/two/r/3/ws/4")),
    Case(UNMATCHED, included, http("/two/r/3/nothing"), views=0),
    Case("/f/{t}/items/{item_id}", lambda: mounted_api("/f/{t}"), http("/f/1/items/7"), views=2),
    Case("/f/{t}/docs", lambda: mounted_api("/f/{t}"), http("/f/1/docs"), views=0),
    Case(UNMATCHED, lambda: mounted_api("/f/{t}"), http("/f/1/nothing"), views=0),
    # An app that has the middleware in another one that has it too
    Case("/m/{t}/leaf/{x}", lambda: starlette(Mount("/m/{t}", sub_app(*leaf()))), http("/m/1/leaf/7")),
    Case("/m/{t}/leaf/{x}", lambda: starlette(Mount("/m/{t}", hidden(sub_app(*leaf())))), http("/m/1/leaf/7")),
    Case("/leaf/{x}", lambda: sub_app(*leaf()), http("/leaf/7")),
    Case(UNMATCHED, lambda: starlette(Mount("/m/{t}", sub_app(*leaf()))), http("/m/1/nothing"), views=0),
    Case("/leaf/{x}", lambda: SWProfilerMiddleware(starlette(*leaf())), http("/leaf/7"), inside=False),
    Case("/sub/leaf/{x}", lambda: copying(sub_app(*leaf())), http("/sub/leaf/7"), inside=False)
    if version("starlette") >= (0, 33)
    else Case("/leaf/{x}", lambda: hidden(sub_app(*leaf())), http("/leaf/7"), inside=False),
    # Apps with adapters of their own
    Case("/dj/{t}/a/<int:y>", lambda: starlette(Mount("/dj/{t}", Adapted("/a/<int:y>"))), http("/dj/1/a/7")),
    Case("/dj/a/<int:y>", lambda: starlette(Mount("/dj", Adapted("/a/<int:y>"))), http("/dj/a/7")),
    Case("/dj/{t}/{path}", lambda: starlette(Mount("/dj/{t}", Adapted(None))), http("/dj/1/a/7")),
    # Apps whose router is hidden, or none of those we know
    Case("/leaf/{x}", lambda: hidden(starlette(*leaf())), http("/leaf/7"), inside=False),
    Case(UNMATCHED, lambda: hidden(starlette(*leaf())), http("/nothing"), views=0, inside=False),
    Case(
        "/h/{t}/leaf/{x}", lambda: starlette(Mount("/h/{t}", hidden(fastapi_app("/leaf/{x}")))), http("/h/1/leaf/7"), 2
    ),
    Case("/a/{id}/b", lambda: plain_app, http("/a/17/b"), views=0, inside=False),
    Case("/a/{id}/b", lambda: hidden(plain_app), http("/a/17/b"), views=0, inside=False),
    Case("/api/{v}/leaf/{l}", lambda: Litestar("/api/{v}/leaf/{l}"), http("/api/1/leaf/2"), inside=False),
    Case(UNMATCHED, lambda: Litestar(None), http("/api/1/leaf/2"), views=0, inside=False),
    Case("/mount/a/{id}", lambda: Litestar(""), http("/mount/a/7"), inside=False),
    # The server's own prefix is no part of a route
    Case("/leaf/{x}", lambda: starlette(*leaf()), http("/leaf/7", root_path="/proxy")),
]

if version("fastapi") >= (0, 137):  # older ones drop the mounts of an included router
    CASES += [
        Case("/api/{v}/st/{kind}/leaf/{x}", included_mounts, http("/api/1/st/2/leaf/3")),
        Case("/api/{v}/fa/items/{item_id}", included_mounts, http("/api/1/fa/items/3"), views=2),
        Case(UNMATCHED, included_mounts, http("/api/1/fa/nothing"), views=0),
    ]
if version("starlette") >= (0, 33):
    CASES += [
        Case("/leaf/{x}", lambda: starlette(*leaf()), http("/proxy/leaf/7", root_path="/proxy")),
        Case(
            "/m/{t}/leaf/{x}", lambda: starlette(Mount("/m/{t}", routes=leaf())), http("/p/m/1/leaf/7", root_path="/p")
        ),
        Case("/two/{b}/leaf/{x}", same_app_twice, http("/proxy/two/1/leaf/2", root_path="/proxy")),
    ]


def identify(case: Case) -> str:
    return f"{case.scope['type']} {case.scope.get('method', '')} {case.scope['path']} -> {case.name}"


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    SEEN.clear()


def run(app: Any, case: Case) -> None:
    received = [{"type": "websocket.connect"}] if case.scope["type"] == "websocket" else [REQUEST]
    with suppress(NothingThere):
        call(app, dict(case.scope), received)


@pytest.mark.parametrize("is_inside", [False, True], ids=["outside", "inside"])
@pytest.mark.parametrize("is_running", [False, True], ids=["idle", "running"])
@pytest.mark.parametrize("case", CASES, ids=identify)
def test_name(case: Case, is_running: bool, is_inside: bool, recorded: Recorded) -> None:
    """Each row twice: a second request is named like the first."""
    app = case.build()
    if is_inside and case.inside:
        app.add_middleware(SWProfilerMiddleware, service_name="shop")
    else:
        app = SWProfilerMiddleware(app, service_name="shop")
    Application(7000, {"service_name": "shop"}).attach()
    if is_running:
        recorded.profile(case.name)
    run(app, case)
    run(app, case)
    assert [segment.operation for segment in recorded.segments] == [case.name] * 2
    assert [is_running] * 2 * case.views == SEEN


def named(app: Any, path: str, recorded: Recorded) -> str:
    call(app, http(path))
    return recorded.last.operation


def test_routes_that_are_added_while_the_app_runs_are_named(recorded: Recorded) -> None:
    inner = starlette(*leaf())
    outer = starlette(Route("/first/{x}", view))
    app = SWProfilerMiddleware(outer, service_name="shop")
    assert named(app, "/first/1", recorded) == "/first/{x}"
    assert named(app, "/late/1", recorded) == UNMATCHED
    outer.add_route("/late/{x}", other_view)
    assert named(app, "/late/1", recorded) == "/late/{x}"
    outer.add_route("/again/{x}", view)
    assert named(app, "/first/1", recorded) == "/first/{x}"
    assert named(app, "/again/1", recorded) == "/again/{x}"
    outer.mount("/m/{late}", inner)
    assert named(app, "/m/1/leaf/2", recorded) == "/m/{late}/leaf/{x}"


def test_routes_that_are_added_to_a_mounted_app_are_named_soon(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = starlette(*leaf())
    app = SWProfilerMiddleware(starlette(Mount("/m", inner)), service_name="shop")
    assert named(app, "/m/leaf/1", recorded) == "/m/leaf/{x}"
    inner.add_route("/late/{x}", sync_view)
    monkeypatch.setattr(routes, "REBUILT_EVERY", 0)
    assert named(app, "/m/late/1", recorded) == "/m/late/{x}"


class Copying:
    """Hands on a scope of its own."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(dict(scope), receive, send)


@pytest.mark.parametrize("is_running", [False, True])
def test_a_scope_that_is_copied_is_seen_from_inside_only(is_running: bool, recorded: Recorded) -> None:
    def ours(app: Any) -> Any:
        return with_middleware(app, SWProfilerMiddleware, service_name="shop")

    Application(7000, {"service_name": "shop"}).attach()
    if is_running:
        recorded.profile("/leaf/{x}")
    assert named(ours(with_middleware(starlette(*leaf()), Copying)), "/leaf/1", recorded) == UNMATCHED
    assert named(with_middleware(ours(starlette(*leaf())), Copying), "/leaf/1", recorded) == "/leaf/{x}"
    assert named(ours(with_middleware(ours(starlette(*leaf())), Copying)), "/leaf/1", recorded) == "/leaf/{x}"
    assert [False, is_running, is_running] == SEEN


def test_an_app_mounted_in_itself_is_no_endless_loop(recorded: Recorded) -> None:
    app = starlette(*leaf())
    app.mount("/m", app)
    assert named(SWProfilerMiddleware(app, service_name="shop"), "/m/leaf/1", recorded) == "/m/leaf/{x}"


def test_one_outer_app_for_several_of_starlette(recorded: Recorded) -> None:
    """What the middleware wraps decides between apps; more of them than are remembered are named all the same."""
    apps = [starlette(Route(f"/{number}/{{x}}", view)) for number in range(70)]

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        await apps[int(scope["path"].split("/")[1])](scope, receive, send)

    app = SWProfilerMiddleware(dispatch, service_name="shop")
    for number in (*range(70), 0):
        assert named(app, f"/{number}/x", recorded) == f"/{number}/{{x}}"


def test_a_failure_of_ours_leaves_the_app_alone(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("ours")

    for name in ("find", "refresh"):
        with monkeypatch.context() as patch:
            patch.setattr(routes.RouteIndex, name, broken)
            app = SWProfilerMiddleware(starlette(*leaf()), service_name="shop")
            assert call(app, http("/leaf/1")).body == b"here"
    assert [segment.is_error for segment in recorded.segments] == [False, False]
    assert not recorded.agent.sampler.taken
