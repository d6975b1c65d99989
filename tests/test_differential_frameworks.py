"""Generated requests to sites of each framework, each answered twice: without us, and with."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import io
import itertools
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from hypothesis import given

from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.flask import SWProfiler
from swprof_mw.profiling.locate.place import current_request
from tests.asgi_driver import Message, http, websocket
from tests.generated.amount import cases
from tests.generated.http_cases import REQUESTS, USUAL, Request
from tests.generated.observed import failure, nothing_is_left, run_task, stop_task, variables
from tests.recorded import Recorded
from tests.sites import django_site, flask_site, starlette_site
from tests.wsgi_client import make_environ, watch

#: What a task asks for, by the first part of a path: the request is then sampled from its route on, or from its begin.
ROUTES = {
    "items": ["/items/<int:x>/<path:rest>", "/items/{x}/{rest}", "/items/{x}"],
    "stream": ["/stream/<int:count>", "/stream/{count}"],
    "part": ["/part/<word>/here", "/part/{word}/here"],
    "file": ["/file"],
}


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Frameworks log the failures that they answer for."""
    caplog.set_level(logging.CRITICAL)


@pytest.fixture
def _loop() -> Iterator[None]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


Site = Callable[..., Any]

#: Starts the agent; and frameworks import some modules with the first request.
FIRST = Request("GET", "/", "", {"Host": "shop.test"}, b"")


def served(app: Site, request: Request) -> Any:
    """All that a WSGI server sees of an answer, and the context variables that are left."""
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
    given: dict[str, Any] = {"wsgi.input": io.BytesIO(request.body), "CONTENT_LENGTH": str(len(request.body))}
    if request.query != "a=b":
        given["wsgi.file_wrapper"] = FileWrapper
    environ = make_environ(f"{request.path}?{request.query}", request.method, **given, **headers)

    def serve() -> Any:
        how, number = request.leaving
        seen = leave(app, environ, how, number) if how in ("close", "drop") else watch(app, environ)
        # The second may change between two answers.
        return re.sub(r"\('Date', '[^']+'\)", "('Date', 'now')", repr(seen)), variables(), current_request.get()

    return contextvars.copy_context().run(serve)


def leave(app: Site, environ: dict[str, Any], how: str, number: int) -> list[Any]:
    """Read a few chunks, then close the body, or drop it."""
    body = app(environ, lambda *args: lambda data: None)
    seen: list[Any] = [len(body) if hasattr(type(body), "__len__") else None]
    try:
        seen += itertools.islice(body, number)
        if how == "close" and hasattr(body, "close"):
            body.close()
    except Exception as error:
        seen.append(failure(error))
    del body  # an exception that the framework keeps keeps this frame
    return seen


def acalled(app: Site, request: Request) -> Any:
    """All that an ASGI server sees of an answer, and the context variables that are left."""
    sent: list[Any] = []
    incoming: list[Message]
    if request.path in ("/talk", "/refuse"):
        scope = websocket(request.path, extensions={"websocket.http.response": {}})
        incoming = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": request.query}]
        incoming.append({"type": "websocket.disconnect", "code": 1001})
    else:
        raw: Message = {"raw_path": request.path.encode("latin-1"), "query_string": request.query.encode("latin-1")}
        scope = http(request.decoded, request.method, (), **raw)
        incoming = [{"type": "http.request", "body": request.body, "more_body": False}]
    scope["headers"] = [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers.items()]

    async def run() -> Any:
        await serve(app, scope, incoming, sent, *request.leaving)
        # Ranges are told apart by a boundary that is thought up each time.
        return re.sub(r"\b[0-9a-f]{26}\b", "BOUNDARY", repr(sent)), variables(), current_request.get()

    return contextvars.copy_context().run(asyncio.get_event_loop().run_until_complete, run())


async def serve(
    app: Site, scope: Message, incoming: list[Message], sent: list[Any], how: str = "", number: int = 0
) -> None:
    """Call an app; note what it sends and raises. The client may leave, ``how`` tells in which way."""
    left = asyncio.Event()

    async def receive() -> Message:
        if not incoming:
            await left.wait()
            return {"type": "http.disconnect"}
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(sorted(message.items(), key=repr))
        if how and len(sent) > number:
            left.set()
            if how == "reset":
                raise ConnectionResetError("gone")
            if how == "cancel":
                task.cancel()

    async def run() -> None:
        try:
            sent.append(await app(scope, receive, send))
        except BaseException as error:
            sent.append(failure(error)[0])

    task = asyncio.ensure_future(run())
    await asyncio.wait([task], timeout=20)
    assert task.done()


def compare(recorded: Recorded, request: Request, bare: Callable[[], Any], traced: Callable[[], Any]) -> None:
    """Answer a request without us, with us, and with a task that asks for it by its route or its path."""
    wanted = bare()
    stop_task(recorded)
    assert traced() == wanted
    nothing_is_left(recorded)
    for name in [*ROUTES.get(request.path.split("/")[1], []), request.decoded]:
        run_task(recorded, name[:150])
        assert traced() == wanted
        nothing_is_left(recorded)


Pair = tuple[Site, Site]


@pytest.fixture
def flask(recorded: Recorded) -> Pair:
    """The Flask site without us, and with."""
    app = flask_site.make_site()
    bare: Site = app.wsgi_app
    with_us = SWProfiler(app)
    with_us.application.attach()
    return bare, with_us


@pytest.fixture
def django_wsgi(recorded: Recorded) -> Iterator[Pair]:
    """The Django site under WSGI, without us and with."""
    with django_site.settings():
        pair = django_site.make_wsgi(with_us=False), django_site.make_wsgi(with_us=True)
        served(pair[1], FIRST)
        yield pair


@pytest.fixture
def django_asgi(recorded: Recorded, _loop: None) -> Iterator[Pair]:
    """The Django site under ASGI, without us and with."""
    with django_site.settings():
        pair = django_site.make_asgi(with_us=False), django_site.make_asgi(with_us=True)
        acalled(pair[1], FIRST)
        yield pair
        gc.collect()  # Django leaves the bodies of requests open, which warns


@pytest.fixture(params=["around", "inside", "both"])
def starlette(recorded: Recorded, _loop: None, request: pytest.FixtureRequest) -> Pair:
    """The Starlette site without us, and with."""
    app: Any = starlette_site.make_site()
    if request.param != "around":
        app.add_middleware(SWProfilerMiddleware, service_name="site")
    if request.param != "inside":
        app = SWProfilerMiddleware(app, service_name="site")
    acalled(app, FIRST)
    return starlette_site.make_site(), app


@pytest.fixture
def fastapi(recorded: Recorded, _loop: None) -> Pair:
    """The FastAPI site without us, and with."""
    app = starlette_site.make_api()
    app.add_middleware(SWProfilerMiddleware, service_name="site")
    acalled(app, FIRST)
    return starlette_site.make_api(), app


#: A body that is dropped leaves its file open, and so does Starlette if it is cancelled as the last chunk is sent.
LEFT_OPEN = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
UNREAD = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume", "ignore::ResourceWarning")


def test_usual_requests_to_flask(recorded: Recorded, flask: Pair) -> None:
    for request in USUAL:
        compare(recorded, request, *(partial(served, app, request) for app in flask))


@LEFT_OPEN
@given(REQUESTS)
@cases(100)
def test_flask(recorded: Recorded, flask: Pair, request: Request) -> None:
    compare(recorded, request, *(partial(served, app, request) for app in flask))


def test_usual_requests_to_django_under_wsgi(recorded: Recorded, django_wsgi: Pair) -> None:
    for request in USUAL:
        compare(recorded, request, *(partial(served, app, request) for app in django_wsgi))


@LEFT_OPEN
@given(REQUESTS)
@cases(60)
def test_django_under_wsgi(recorded: Recorded, django_wsgi: Pair, request: Request) -> None:
    compare(recorded, request, *(partial(served, app, request) for app in django_wsgi))


@UNREAD
def test_usual_requests_to_django_under_asgi(recorded: Recorded, django_asgi: Pair) -> None:
    for request in USUAL:
        compare(recorded, request, *(partial(acalled, app, request) for app in django_asgi))


@UNREAD
@given(REQUESTS)
@cases(50)
def test_django_under_asgi(recorded: Recorded, django_asgi: Pair, request: Request) -> None:
    compare(recorded, request, *(partial(acalled, app, request) for app in django_asgi))


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_stream_of_django_s_that_is_dropped_is_gone_at_once(
    recorded: Recorded, django_wsgi: Pair, count: int
) -> None:
    request = Request("GET", "/stream/3", f"drop={count}", {"Host": "shop.test"}, b"")
    run_task(recorded, "/stream/<int:count>")
    gc.collect()
    gc.disable()
    try:
        served(django_wsgi[1], request)
        nothing_is_left(recorded)
    finally:
        gc.enable()
    assert recorded.last.operation == "/stream/<int:count>"


@pytest.mark.parametrize("starlette", ["around"], indirect=True)
def test_as_many_files_are_left_open_as_without_us(recorded: Recorded, starlette: Pair) -> None:
    counts = []
    for app in starlette:
        run_task(recorded, "/file")
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always", ResourceWarning)
            for count in range(4):
                acalled(app, Request("GET", "/file", f"cancel={count}", {"Host": "shop.test"}, b""))
            gc.collect()
        counts.append(len(found))
    assert counts[1] == counts[0]


def test_usual_requests_to_starlette(recorded: Recorded, starlette: Pair) -> None:
    for request in USUAL:
        compare(recorded, request, *(partial(acalled, app, request) for app in starlette))


@LEFT_OPEN
@given(REQUESTS)
@cases(80)
def test_starlette(recorded: Recorded, starlette: Pair, request: Request) -> None:
    compare(recorded, request, *(partial(acalled, app, request) for app in starlette))


@LEFT_OPEN
@given(REQUESTS)
@cases(60)
def test_fastapi(recorded: Recorded, fastapi: Pair, request: Request) -> None:
    request = request._replace(path=f"/more{request.path}") if "items" not in request.path else request
    compare(recorded, request, *(partial(acalled, app, request) for app in fastapi))
