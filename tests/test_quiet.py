"""With ``trace_report=profiled`` requests pass without a span, and one of each endpoint is reported as ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import flask
import pytest

from tests import django_project  # noqa: F401  (configures Django)

# isort: split
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import include, path
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

import swprof_mw
from swprof_mw import current
from swprof_mw.application import Application
from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.flask import SWProfiler
from swprof_mw.records import Segment
from swprof_mw.span import EntrySpan
from tests.asgi_driver import acall, http
from tests.django_project import views
from tests.doubles import FakeClock
from tests.recorded import Recorded
from tests.sampled import spend
from tests.wsgi_client import ask

Patch = pytest.MonkeyPatch
Get = Callable[[str, str], int]

PATHS = ["/", "/items/1", "/items/2", "/fail", "/denied", "/stream", "/nothing/here", "/area/inner/3"]
REQUESTS = [*((where, "GET") for where in PATHS), ("/items/3", "POST"), ("/items/4", "HEAD")]


@pytest.fixture(autouse=True)
def _nobody_has_asked(monkeypatch: Patch) -> None:
    monkeypatch.setattr(current, "asked", False)


@pytest.fixture
def spans(monkeypatch: Patch) -> list[EntrySpan]:
    """The spans that are begun from here on."""
    begun: list[EntrySpan] = []
    begin = Application.begin

    def noting(self: Application, *arguments: Any) -> Any:
        span = begin(self, *arguments)
        begun.append(span) if isinstance(span, EntrySpan) else None
        return span

    monkeypatch.setattr(Application, "begin", noting)
    return begun


def asked() -> str:
    """Asks for the trace."""
    return swprof_mw.trace_id() or "none"


def named() -> str:
    """Names its request."""
    swprof_mw.set_endpoint("/named/by/the/app")
    return "named"


def slow() -> str:
    """Takes its time."""
    spend(0.06)
    return "slow"


def django_view(work: Callable[[], str]) -> Callable[[HttpRequest], HttpResponse]:
    """A view of Django's."""
    return lambda request: HttpResponse(work())


urlpatterns = [
    path("", views.ok),
    path("items/<int:x>", views.ok),
    path("fail", views.fail),
    path("denied", views.denied),
    path("stream", views.streaming(lambda: iter([b"x"] * 3))),
    path("area/", include([path("inner/<int:x>", views.ok)])),
    path("asks", django_view(asked)),
    path("named", django_view(named)),
    path("slow", django_view(slow)),
]


def flask_app(report: str) -> Get:
    """Flask, with a blueprint."""
    app = flask.Flask("shop")
    area = flask.Blueprint("area", __name__, url_prefix="/area")
    area.add_url_rule("/inner/<int:x>", "inner", lambda x: "ok")
    app.register_blueprint(area)
    app.add_url_rule("/", "index", lambda: "ok")
    app.add_url_rule("/items/<int:x>", "items", lambda x: "ok", methods=["GET", "POST"])
    app.add_url_rule("/stream", "stream", lambda: flask.Response(iter(["x"] * 3)))
    app.add_url_rule("/asks", "asks", asked)
    app.add_url_rule("/named", "named", named)
    app.add_url_rule("/slow", "slow", slow)

    @app.route("/fail")
    def fail() -> str:
        raise ValueError("secret")

    @app.route("/denied")
    def denied() -> str:
        flask.abort(403)

    SWProfiler(app, service_name=report, trace_report=report)  # type: ignore[arg-type]
    return lambda where, method: int(ask(app, where, method).status[:3])


def django_site(report: str) -> Get:
    """Django's site for tests, under WSGI."""
    with override_settings(SWPROF={"service_name": report, "trace_report": report}, ROOT_URLCONF=__name__):
        handler = WSGIHandler()

    def get(where: str, method: str) -> int:
        with override_settings(SWPROF={"service_name": report, "trace_report": report}, ROOT_URLCONF=__name__):
            return int(ask(handler, where, method).status[:3])

    return get


def django_asgi_site(report: str) -> Get:
    """Django's site for tests, under ASGI."""

    def get(where: str, method: str) -> int:
        with override_settings(SWPROF={"service_name": report, "trace_report": report}, ROOT_URLCONF=__name__):
            return asyncio.run(acall(handler, http(where, method=method))).status

    with override_settings(SWPROF={"service_name": report, "trace_report": report}, ROOT_URLCONF=__name__):
        handler = ASGIHandler()
    return get


def starlette(framework: Callable[..., Any]) -> Callable[[str], Get]:
    """Starlette, or what inherits from it, with a mount."""

    async def ok(request: Request) -> Response:
        return PlainTextResponse("ok")

    async def fail(request: Request) -> Response:
        raise ValueError("secret")

    async def denied(request: Request) -> Response:
        return PlainTextResponse("denied", status_code=403)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield b"x"

    async def stream(request: Request) -> Response:
        return StreamingResponse(chunks())

    def answering(work: Callable[[], str]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return PlainTextResponse(work())

        return answer

    def site(report: str) -> Get:
        app = framework(
            routes=[
                Route("/", ok),
                Route("/items/{x}", ok, methods=["GET", "POST"]),
                Route("/fail", fail),
                Route("/denied", denied),
                Route("/stream", stream),
                Route("/asks", answering(asked)),
                Route("/named", answering(named)),
                Route("/slow", answering(slow)),
                Mount("/area", routes=[Route("/inner/{x}", ok)]),
            ]
        )
        app.add_middleware(SWProfilerMiddleware, service_name=report, trace_report=report)

        async def get(where: str, method: str) -> int:
            try:
                return (await acall(app, http(where, method=method))).status
            except ValueError:
                return 500

        return lambda where, method: asyncio.run(get(where, method))

    return site


SITES = {
    "flask": flask_app,
    "django": django_site,
    "django-asgi": django_asgi_site,
    "starlette": starlette(Starlette),
    "fastapi": starlette(FastAPI),
}
sites = pytest.mark.parametrize("site", SITES.values(), ids=SITES)


def what(segment: Segment) -> tuple[object, ...]:
    """All of a segment that does not differ from run to run."""
    log = tuple((key, value) for key, value in segment.log if key != "stack")
    return (segment.operation, segment.peer, segment.component, segment.is_error, segment.tags, log)


def is_asked() -> bool:
    """Whether anybody has asked for a span that was not there."""
    return current.asked


def of(recorded: Recorded, service: str) -> list[Segment]:
    """What was reported for one service, in its order."""
    return [segment for segment in recorded.segments if segment.service == service]


@sites
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_the_first_request_of_each_endpoint_is_reported_as_ever(
    site: Callable[[str], Get], recorded: Recorded, spans: list[EntrySpan]
) -> None:
    every, quiet = site("all"), site("profiled")
    assert quiet("/first", "GET") == every("/first", "GET") == 404  # starts the agent
    statuses = [every(*request) for request in REQUESTS]
    spans.clear()
    assert [quiet(*request) for request in REQUESTS] == statuses
    first = {segment.operation: what(segment) for segment in reversed(of(recorded, "all"))}
    reported = of(recorded, "profiled")
    assert {segment.operation: what(segment) for segment in reported} == first
    assert len(reported) == len(first) == 7
    # Those that are not reported have no span, but where only a span could tell what they are named.
    assert len(spans) <= len(reported) + 1


@sites
def test_each_is_reported_again_once_in_ten_minutes(
    site: Callable[[str], Get], recorded: Recorded, monkeypatch: Patch
) -> None:
    quiet = site("profiled")
    modules = ["trace_filter", "application", "span", "wsgi.entry", "asgi.quiet", "django.middleware"]
    clock = FakeClock(monkeypatch, [f"swprof_mw.{name}" for name in modules])
    counts = []
    for seconds in (0, 1, 598, 1.5, 1, 600):
        clock.advance(seconds)
        for where in ("/items/1", "/items/2", "/denied"):
            quiet(where, "GET")
        counts.append(len(recorded.segments))
    assert counts == [2, 2, 2, 4, 4, 6]


@sites
def test_a_late_span_has_the_whole_time(site: Callable[[str], Get], recorded: Recorded, monkeypatch: Patch) -> None:
    quiet = site("profiled")
    quiet("/", "GET")
    before = time.time()
    for where in ("/items/1", "/slow"):
        quiet(where, "GET")
    after = time.time()
    _, short, slow = recorded.segments
    assert short.operation.startswith("/items/")
    assert slow.operation == "/slow"
    assert 50 <= slow.end - slow.start < 1_000
    assert before * 1000 - 2 <= short.start <= slow.start <= slow.end <= after * 1000 + 2


@sites
def test_whoever_asks_for_the_trace_has_one_from_then_on(site: Callable[[str], Get], recorded: Recorded) -> None:
    quiet = site("profiled")
    quiet("/", "GET")
    assert not is_asked()
    quiet("/asks", "GET")
    assert is_asked()
    quiet("/named", "GET")
    assert recorded.last.operation == "/named/by/the/app"


@sites
def test_a_task_finds_its_requests_at_once(site: Callable[[str], Get], recorded: Recorded) -> None:
    quiet = site("profiled")
    quiet("/", "GET")
    for _ in range(3):
        quiet("/slow", "GET")
    assert [segment.operation for segment in recorded.segments][1:] == ["/slow"]
    recorded.profile("/slow")
    assert [quiet(where, "GET") for where in ("/slow", "/denied", "/slow")] == [200, 403, 200]
    sampled = {snapshot.segment_id for snapshot in recorded.snapshots}
    assert len(sampled) == 2
    assert sampled < {segment.segment_id for segment in recorded.segments if segment.operation == "/slow"}


@sites
def test_what_is_ignored_is_not_reported(site: Callable[[str], Get], recorded: Recorded, monkeypatch: Patch) -> None:
    monkeypatch.setenv("SW_AGENT_TRACE_IGNORE_PATH", "/items/*")
    quiet = site("profiled")
    for where in ("/", "/items/1", "/denied", "/items/1"):
        quiet(where, "GET")
    assert [segment.operation for segment in recorded.segments] == ["/", "/denied"]


async def waits(_: Request) -> Response:
    """Never answers."""
    await asyncio.sleep(3600)
    raise AssertionError("it was to be cancelled")


def quiet_starlette(*routes: Route) -> Any:
    """An app whose next request needs no span, since one has been there before."""
    inner = Starlette(routes=[Route("/", lambda _: PlainTextResponse("ok")), *routes])
    app = SWProfilerMiddleware(inner, service_name="shop", trace_report="profiled")
    assert asyncio.run(acall(app, http("/"))).status == 200
    return app


def test_a_request_that_is_cancelled_is_reported_as_one_whose_client_is_gone(
    recorded: Recorded, spans: list[EntrySpan]
) -> None:
    app = quiet_starlette(Route("/waits", waits))

    async def cancelled() -> None:
        task = asyncio.create_task(acall(app, http("/waits")))
        await asyncio.sleep(0.01)
        assert [span.path for span in spans] == ["/"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert (recorded.last.operation, recorded.last.is_error) == ("/waits", False)
    assert ("http.status_code", "499") in recorded.last.tags


@pytest.mark.parametrize("odd", [{"path": None}, {"root_path": 7}, {"method": None}, {"method": 7}], ids=str)
def test_a_scope_that_is_not_as_asgi_has_it_is_the_apps_matter(recorded: Recorded, odd: dict[str, Any]) -> None:
    app = quiet_starlette()
    inner, app.app = app.app, answers
    scope = {**http("/"), **odd}
    assert asyncio.run(acall(app, scope)).body == b"any"
    del scope["method"]
    assert asyncio.run(acall(app, scope)).body == b"any"
    app.app = inner
    assert asyncio.run(acall(app, http("/"))).status == 200
    assert [segment.operation for segment in recorded.segments] == ["/"]


async def answers(scope: Any, receive: Any, send: Any) -> None:
    """An app that looks at nothing."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"any"})


def test_a_message_that_is_none_is_the_servers_matter(recorded: Recorded) -> None:
    async def odd(scope: Any, receive: Any, send: Any) -> None:
        await send(None)

    async def send(message: Any) -> None:
        sent.append(message)

    sent: list[Any] = []
    app = quiet_starlette()
    app.app = odd
    asyncio.run(app(http("/"), send, send))
    assert sent == [None]
