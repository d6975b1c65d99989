"""The ASGI middleware: what a span says, when it ends, and that an app notices nothing of it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from swprof_mw import agent, failures
from swprof_mw.application import Application
from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.config import ConfigError
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.records import Segment
from tests.asgi_driver import REQUEST, Exchanged, Message, acall, call, http, websocket
from tests.recorded import Recorded

App = Callable[[Any, Any, Any], Awaitable[None]]

START: Message = {"type": "http.response.start", "status": 202, "headers": []}
LAST: Message = {"type": "http.response.body", "body": b"end"}
MORE: Message = {"type": "http.response.body", "body": b"part", "more_body": True}
CONNECT: Message = {"type": "websocket.connect"}
ACCEPT: Message = {"type": "websocket.accept"}


def wrapped(app: Any, **settings: Any) -> Any:
    return SWProfilerMiddleware(app, service_name="shop", **settings)


def sends(*messages: Message, then: Callable[[], object] = lambda: None) -> App:
    """An app that sends these and does ``then``."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        then()

    return app


def shop() -> Starlette:
    async def order(request: Request) -> Response:
        return PlainTextResponse(f"order {request.path_params['number']}")

    async def failing(request: Request) -> Response:
        raise KeyError("no such price")

    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    return Starlette(
        routes=[Route("/orders/{number:int}", order), Route("/failing", failing), WebSocketRoute("/chat/{room}", chat)]
    )


def only(recorded: Recorded) -> Segment:
    (segment,) = recorded.segments
    return segment


def status_of(segment: Segment) -> str:
    return dict(segment.tags)["http.status_code"]


# What a span says


def test_a_segment_has_what_the_request_was(recorded: Recorded) -> None:
    scope = http("/orders/7", "GET", query_string=b"secret=1")
    assert call(wrapped(shop()), scope).body == b"order 7"
    segment = only(recorded)
    assert segment.service == "shop"
    assert segment.operation == "/orders/{number}"
    assert segment.peer == "10.1.2.3:4567"
    assert segment.tags == (("http.method", "GET"), ("http.url", "/orders/7"), ("http.status_code", "200"))
    assert not segment.is_error
    assert segment.log == ()
    assert segment.reference is None
    assert not segment.skip_analysis


@pytest.mark.parametrize(
    ("client", "peer"), [(("::1", 80), "::1:80"), (("here", None), "here"), (["a", 1], "a:1"), (None, "")]
)
def test_the_peer_is_what_the_server_knows(client: Any, peer: str, recorded: Recorded) -> None:
    call(wrapped(shop()), http("/orders/7", client=client))
    assert only(recorded).peer == peer


@pytest.mark.parametrize(
    ("path", "root_path", "url"),
    [
        ("/orders/7", "/shop", "/shop/orders/7"),
        ("/shop/orders/7", "/shop", "/shop/orders/7"),
        ("/shopping", "/shop", "/shop/shopping"),
        ("/shop", "/shop", "/shop"),
        ("/", "", "/"),
    ],
)
def test_the_url_has_the_prefix_once(path: str, root_path: str, url: str, recorded: Recorded) -> None:
    call(wrapped(sends(START, LAST)), http(path, root_path=root_path))
    assert dict(only(recorded).tags)["http.url"] == url


def test_a_method_in_small_letters_is_told_in_capitals(recorded: Recorded) -> None:
    call(wrapped(sends(START, LAST)), http("/", "post"))
    assert dict(only(recorded).tags)["http.method"] == "POST"


@pytest.mark.parametrize("is_inside", [True, False])
def test_an_exception_is_logged_and_passes_through(is_inside: bool, recorded: Recorded) -> None:
    app: Any = shop()
    if is_inside:
        app.add_middleware(SWProfilerMiddleware, service_name="shop")
    else:
        app = wrapped(app)
    with pytest.raises(KeyError, match="no such price") as caught:
        call(app, http("/failing"))
    assert caught.traceback[-1].name == "failing"
    segment = only(recorded)
    assert segment.is_error
    assert status_of(segment) == "500"
    log = dict(segment.log)
    assert log["error.kind"] == "builtins.KeyError"
    assert "in failing" in log["stack"]


def test_an_exception_that_a_handler_answers_for_is_logged_if_the_server_failed(recorded: Recorded) -> None:
    async def closed(request: Request) -> Response:
        raise HTTPException(int(request.path_params["status"]), "closed")

    app = wrapped(Starlette(routes=[Route("/{status}", closed)]))
    assert call(app, http("/503")).status == 503
    assert call(app, http("/404")).status == 404
    assert [(segment.is_error, bool(segment.log)) for segment in recorded.segments] == [(True, True), (False, False)]


def test_an_exception_that_is_handled_and_does_not_even_tell_its_class_is_no_harm(recorded: Recorded) -> None:
    class Unspeakable(BaseException):
        def __getattribute__(self, name: str) -> object:
            raise RuntimeError(name)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            raise Unspeakable
        except Unspeakable:
            await sends({**START, "status": 503}, {"type": "http.response.body"})(scope, receive, send)

    assert call(wrapped(app), http("/")).status == 503
    assert status_of(only(recorded)) == "503"


def test_the_exception_is_the_apps_own_object(recorded: Recorded) -> None:
    error = ValueError("mine")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    with pytest.raises(ValueError, match="mine") as caught:
        call(wrapped(app), http("/"))
    assert caught.value is error
    assert status_of(only(recorded)) == "500"


def test_an_exception_after_the_start_keeps_the_status(recorded: Recorded) -> None:
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        call(wrapped(sends(START, MORE, then=fail)), http("/"))
    segment = only(recorded)
    assert status_of(segment) == "202"
    assert segment.is_error


def test_a_trace_from_outside_is_continued(recorded: Recorded) -> None:
    parts = [b"trace", b"segment", b"service", b"instance", b"/endpoint", b"there:80"]
    encoded = [b64encode(part).decode() for part in parts]
    value = "-".join(["1", encoded[0], encoded[1], "3", *encoded[2:]])
    call(wrapped(shop()), http("/orders/7", headers=[("sw8", value)]))
    segment = only(recorded)
    assert segment.trace_id == "trace"
    assert segment.reference is not None


@pytest.mark.parametrize("value", ["", "1-2-3", "nonsense", "1-%-%-x-%-%-%-%"])
def test_a_bad_trace_header_is_ignored(value: str, recorded: Recorded) -> None:
    assert call(wrapped(shop()), http("/orders/7", headers=[("sw8", value)])).status == 200
    assert only(recorded).reference is None


def test_fastapi_is_told_from_starlette(recorded: Recorded) -> None:
    class Own(FastAPI):
        pass

    inside = Own()
    inside.add_middleware(SWProfilerMiddleware, service_name="shop")
    for app in (wrapped(FastAPI()), wrapped(Starlette(middleware=[])), inside):
        call(app, http("/"))
    assert [segment.component for segment in recorded.segments] == [7014, 7000, 7014]


def test_the_apps_own_name_is_the_default(recorded: Recorded) -> None:
    app = FastAPI(title="price list")
    app.add_middleware(SWProfilerMiddleware)
    call(app, http("/"))
    assert only(recorded).service == "price list"


def test_without_any_name_the_app_runs_alone(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    app = SWProfilerMiddleware(shop())
    assert call(app, http("/orders/7")).body == b"order 7"
    assert call(app, http("/orders/7")).body == b"order 7"
    assert agent.current() is None
    assert [record.message for record in caplog.records if "service_name" in record.message] == [
        "swprof_mw is off: service_name is not set, and the app has no name of its own"
    ]


# When a request ends


def gone_before_the_app_returns(app_messages: list[Message], scope: Message, recorded: Recorded) -> list[bool]:
    """After each message of the app, whether the span had ended."""
    ended: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        span: Any = current_request.get()
        for message in app_messages:
            await send(message)
            ended.append(span.ended)

    call(wrapped(app), scope)
    assert len(recorded.segments) == 1
    return ended


WITH_TRAILERS: Message = {**START, "trailers": True}
TRAILERS: Message = {"type": "http.response.trailers", "headers": [], "more_trailers": True}
LAST_TRAILERS: Message = {"type": "http.response.trailers", "headers": []}
PATH: Message = {"type": "http.response.pathsend", "path": "/file"}
ZERO_COPY: Message = {"type": "http.response.zerocopysend", "file": 1}
DENIAL: Message = {"type": "websocket.http.response.start", "status": 401, "headers": []}
DENIAL_PART: Message = {"type": "websocket.http.response.body", "body": b"", "more_body": True}
DENIAL_END: Message = {"type": "websocket.http.response.body", "body": b"no"}
CLOSE: Message = {"type": "websocket.close", "code": 1000}
TEXT: Message = {"type": "websocket.send", "text": "hello"}


@pytest.mark.parametrize(
    ("messages", "ended", "status"),
    [
        ([START, LAST], [False, True], "202"),
        ([START, MORE, MORE, LAST], [False, False, False, True], "202"),
        ([START, MORE], [False, False], "202"),
        ([WITH_TRAILERS, MORE, LAST, TRAILERS, LAST_TRAILERS], [False, False, False, False, True], "202"),
        ([START, PATH], [False, True], "202"),
        ([START, ZERO_COPY], [False, True], "202"),
        ([{"type": "http.response.push"}, START, LAST], [False, False, True], "202"),
        ([START, LAST, LAST], [False, True, True], "202"),
        ([], [], "500"),
    ],
)
def test_http_ends_with_its_last_message(
    messages: list[Message], ended: list[bool], status: str, recorded: Recorded
) -> None:
    assert gone_before_the_app_returns(messages, http("/"), recorded) == ended
    assert status_of(only(recorded)) == status


@pytest.mark.parametrize(
    ("messages", "ended", "status"),
    [
        ([ACCEPT, TEXT, CLOSE], [False, False, True], "101"),
        ([CLOSE], [True], "403"),
        ([DENIAL, DENIAL_PART, DENIAL_END], [False, False, True], "401"),
        ([ACCEPT, TEXT], [False, False], "101"),
        ([], [], "500"),
    ],
)
def test_a_websocket_ends_with_its_close(
    messages: list[Message], ended: list[bool], status: str, recorded: Recorded
) -> None:
    assert gone_before_the_app_returns(messages, websocket("/"), recorded) == ended
    segment = only(recorded)
    assert status_of(segment) == status
    assert dict(segment.tags)["http.method"] == "GET"
    assert segment.skip_analysis == (status == "101")


@pytest.mark.parametrize(
    ("scope", "before", "received", "status"),
    [
        (http("/"), [], [REQUEST, {"type": "http.disconnect"}], "499"),
        (http("/"), [START, MORE], [REQUEST, {"type": "http.disconnect"}], "202"),
        (websocket("/"), [], [CONNECT, {"type": "websocket.disconnect", "code": 1001}], "499"),
        (websocket("/"), [ACCEPT], [CONNECT, {"type": "websocket.disconnect", "code": 1001}], "101"),
    ],
)
def test_it_ends_when_the_client_is_gone(
    scope: Message, before: list[Message], received: list[Message], status: str, recorded: Recorded
) -> None:
    seen: list[object] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        span: Any = current_request.get()
        for message in before:
            await send(message)
        seen.append((await receive(), span.ended))
        seen.append((await receive(), span.ended))
        await send(LAST)

    exchanged = call(wrapped(app), scope, received)
    assert seen == [(received[0], False), (received[1], True)]
    assert exchanged.sent == [*before, LAST]
    segment = only(recorded)
    assert status_of(segment) == status
    assert not segment.is_error


def test_background_work_is_not_the_requests(recorded: Recorded) -> None:
    ended: list[bool] = []

    def later() -> None:
        ended.append(len(recorded.segments) == 1)

    async def view(request: Request) -> Response:
        return JSONResponse({}, background=BackgroundTask(later))

    call(wrapped(Starlette(routes=[Route("/", view)])), http("/"))
    assert ended == [True]


@pytest.mark.parametrize(("kind", "skips"), [("text/event-stream; charset=utf-8", True), ("text/plain", False)])
def test_an_event_stream_spares_the_percentiles(kind: str, skips: bool, recorded: Recorded) -> None:
    async def events() -> Any:
        yield "data: 1\n\n"

    async def view(request: Request) -> Response:
        return StreamingResponse(events(), media_type=kind)

    call(wrapped(Starlette(routes=[Route("/", view)])), http("/"))
    assert only(recorded).skip_analysis == skips


def test_an_event_stream_of_one_piece_is_an_answer_as_any(recorded: Recorded) -> None:
    async def view(request: Request) -> Response:
        return Response("data: 1\n\n", media_type="text/event-stream")

    call(wrapped(Starlette(routes=[Route("/", view)])), http("/"))
    assert not only(recorded).skip_analysis


def test_an_event_stream_that_is_left_before_its_first_event_spares_the_percentiles(recorded: Recorded) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await receive()

    call(wrapped(app), http("/"), [{"type": "http.disconnect"}])
    assert only(recorded).skip_analysis


# Everything is given back


class Aborted(BaseException):
    """Neither an Exception nor a cancellation."""


def profiled(app: Any, recorded: Recorded, path: str = "/") -> Any:
    """The app, with a task for ``path`` running."""
    Application(7000, {"service_name": "shop"}).attach()
    recorded.profile(path)
    return wrapped(app)


def waiting(entered: list[Any]) -> App:
    """An app that waits for its client twice."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        entered.append(current_request.get())
        await receive()
        await receive()

    return app


def failing(error: BaseException) -> App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        span: Any = current_request.get()
        assert span.profiler.was_taken
        raise error

    return app


@pytest.mark.parametrize("error", [ValueError("no"), Aborted(), asyncio.CancelledError(), GeneratorExit()])
def test_the_slot_is_given_back_when_the_app_raises(error: BaseException, recorded: Recorded) -> None:
    app = profiled(failing(error), recorded)
    coroutine = app(http("/"), None, None)
    with pytest.raises(type(error)) as caught:
        coroutine.send(None)
    assert caught.value is error
    assert not recorded.agent.sampler.taken
    assert current_request.get() is None
    segment = only(recorded)
    assert segment.is_error == isinstance(error, Exception)
    assert status_of(segment) == ("500" if isinstance(error, Exception) else "499")


def test_the_slot_is_given_back_when_a_request_is_cancelled(recorded: Recorded) -> None:
    entered: list[Any] = []

    async def main() -> None:
        task = asyncio.create_task(acall(app, http("/")))
        while not entered:
            await asyncio.sleep(0)
        assert entered[0].frame is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    app = profiled(waiting(entered), recorded)
    asyncio.run(main())
    assert not recorded.agent.sampler.taken
    assert entered[0].frame is None
    segment = only(recorded)
    assert (status_of(segment), segment.is_error, segment.log) == ("499", False, ())


class Never:
    """What a server's ``receive`` awaits that never comes."""

    def __await__(self) -> Generator[None, None, None]:
        yield


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_slot_is_given_back_when_the_coroutine_is_closed(elsewhere: bool, recorded: Recorded) -> None:
    """Also in another Context than its own, as garbage collection does it."""
    entered: list[Any] = []
    app = profiled(waiting(entered), recorded)

    async def receive() -> Message:
        await Never()
        return REQUEST

    coroutine = app(http("/"), receive, None)
    own = contextvars.copy_context()
    own.run(coroutine.send, None)
    (contextvars.copy_context() if elsewhere else own).run(coroutine.close)
    assert not recorded.agent.sampler.taken
    assert entered[0].ended
    assert status_of(only(recorded)) == "499"


def test_the_slot_is_given_back_when_the_client_goes(recorded: Recorded) -> None:
    app = profiled(waiting([]), recorded)
    call(app, http("/"), [REQUEST, {"type": "http.disconnect"}])
    assert not recorded.agent.sampler.taken


def test_the_current_request_is_reset(recorded: Recorded) -> None:
    seen: list[Any] = []

    async def main() -> None:
        await acall(app, http("/"))
        seen.append(current_request.get())

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current_request.get())
        await sends(START, LAST)(scope, receive, send)

    app = wrapped(inner)
    asyncio.run(main())
    assert seen[0] is not None
    assert seen[1] is None


def test_two_requests_at_once_are_two(recorded: Recorded) -> None:
    met: list[Any] = []

    async def view(request: Request) -> Response:
        span: Any = current_request.get()
        met.append(span)
        while len(met) < 2:
            await asyncio.sleep(0)
        same: Any = current_request.get()
        assert same is span
        return PlainTextResponse(span.path)

    async def main() -> tuple[Exchanged, Exchanged]:
        return await asyncio.gather(acall(app, http("/a")), acall(app, http("/b")))

    app = wrapped(Starlette(routes=[Route("/{x}", view)]))
    first, second = asyncio.run(main())
    assert (first.body, second.body) == (b"/a", b"/b")
    assert sorted(dict(segment.tags)["http.url"] for segment in recorded.segments) == ["/a", "/b"]


# Nothing changes for the app and the server


@pytest.mark.parametrize("is_running", [False, True])
@pytest.mark.parametrize("path", ["/orders/7", "/orders/x", "/orders/7/", "/failing"])
def test_the_messages_are_the_same(path: str, is_running: bool, recorded: Recorded) -> None:
    def collect(app: Any) -> list[Message]:
        exchanged = Exchanged()

        async def main() -> None:
            await app(http(path), exchanged.receive, exchanged.send)

        try:
            asyncio.run(main())
        except KeyError as error:
            exchanged.sent.append({"type": repr(error)})
        return exchanged.sent

    app = wrapped(shop())
    call(app, http("/nothing"))
    if is_running:
        recorded.profile("/orders/{number}")
    assert collect(app) == collect(shop())


def test_the_scope_is_the_servers_own_while_idle(recorded: Recorded) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    scope = http("/")
    call(wrapped(app), scope)
    assert seen[0] is scope


def test_what_the_app_writes_reaches_the_server_while_a_task_runs(recorded: Recorded) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope))
        scope["state"] = "written"
        scope.update({"more": 1})

    scope = http("/")
    before = dict(scope)
    call(profiled(app, recorded), scope)
    assert seen[-1] == before
    assert (scope["state"], scope["more"]) == ("written", 1)


@pytest.mark.parametrize("is_running", [False, True])
def test_what_the_app_and_the_server_return_is_handed_on(is_running: bool, recorded: Recorded) -> None:
    """Nothing should be; uvicorn closes the connection if something is."""
    got: list[object] = []

    async def app(scope: Any, receive: Any, send: Any) -> str:
        got.append(await send(START))
        return "the app's"

    async def send(message: Any) -> str:
        return "the server's"

    traced = profiled(app, recorded) if is_running else wrapped(app)
    assert asyncio.run(traced(http("/"), None, send)) == "the app's"
    assert asyncio.run(traced({"type": "lifespan"}, None, send)) == "the app's"
    assert got == ["the server's"] * 2


def test_headers_that_can_be_read_only_once_are_left_to_whom_they_are_for(recorded: Recorded) -> None:
    """ASGI asks for iterables of iterables, no more."""
    pairs = [(b"sw8", b"x"), (b"content-type", b"text/plain")]
    seen: list[object] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append([tuple(pair) for pair in scope["headers"]])
        await send({**START, "headers": iter(pairs)})
        await send({**START, "headers": [iter(pair) for pair in pairs]})

    for headers in (iter(pairs), [iter(pair) for pair in pairs]):
        sent = call(wrapped(app), http("/") | {"headers": headers}).sent
        assert [[tuple(pair) for pair in message["headers"]] for message in sent] == [pairs, pairs]
    assert seen == [pairs, pairs]
    assert len(recorded.segments) == 2


def test_a_scope_that_is_no_plain_dict_stays_itself_while_a_task_runs(recorded: Recorded) -> None:
    class Own(dict[str, Any]):
        """Knows of keys that are not there."""

        def __missing__(self, key: str) -> str:
            return "made up"

    seen: list[object] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, scope["x"]))

    scope = Own(http("/"))
    call(profiled(app, recorded), scope)
    assert seen == [(scope, "made up")]
    assert type(seen[0][0]) is Own  # type: ignore[index]


def test_an_error_of_the_server_reaches_the_app(recorded: Recorded) -> None:
    async def broken(message: Any) -> None:
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError, match="reset"):
        asyncio.run(wrapped(sends(START))(http("/"), None, broken))
    assert not only(recorded).is_error


@pytest.mark.parametrize("message", [{}, {"type": None}, {"type": "http.response.start"}, {"type": ["odd"]}])
def test_odd_messages_are_the_servers_to_judge(message: Message, recorded: Recorded) -> None:
    assert call(wrapped(sends(message)), http("/")).sent == [message]
    assert len(recorded.segments) == 1


def test_an_odd_message_of_the_server_is_the_apps_to_judge(recorded: Recorded) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == {"odd": True}

    call(wrapped(app), http("/"), [{"odd": True}])


# Scopes that are not for us


def malformed(**changes: Any) -> Message:
    return {key: value for key, value in {**http("/"), **changes}.items() if value != "missing"}


@pytest.mark.parametrize(
    "scope",
    [
        malformed(type="missing"),
        malformed(type=["http"]),
        malformed(type="something.new"),
        malformed(path="missing"),
        malformed(path=b"/"),
        malformed(path=None),
        malformed(method="missing"),
        malformed(method=7),
        malformed(root_path=b"/x"),
        malformed(headers=5),
        malformed(headers=[b"no pair"]),
        malformed(headers=[(b"sw8", "text")]),
        malformed(client="nobody"),
        malformed(client=7),
        {},
        None,
        7,
    ],
)
def test_other_scopes_pass_straight_through(scope: Any, recorded: Recorded) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend((scope, receive, send, current_request.get()))

    exchanged = Exchanged()
    receive, send = exchanged.receive, exchanged.send
    asyncio.run(wrapped(app)(scope, receive, send))
    assert seen[0] is scope
    assert seen[1:] == [receive, send, None]
    assert agent.current() is None


def test_a_scope_that_is_not_as_asgi_has_it_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    failures._last.clear()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Nothing to do."""

    exchanged = Exchanged()
    asyncio.run(wrapped(app)(malformed(client="nobody"), exchanged.receive, exchanged.send))
    assert "a scope that is not as ASGI has it: ValueError" in caplog.text


def test_what_routers_write_is_seen_outside_at_once_while_a_task_runs(recorded: Recorded) -> None:
    async def view(request: Any) -> Response:
        return Response(str(outer.get("endpoint") is view))

    app = wrapped(Starlette(routes=[Route("/x", view)]))
    outer = http("/x")
    call(app, http("/x"))
    recorded.profile("/x")
    assert call(app, outer).body == b"True"


def test_ignored_paths_pass_straight_through(recorded: Recorded) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(receive)

    exchanged = Exchanged()
    receive = exchanged.receive
    asyncio.run(wrapped(app, trace_ignore_path="/health")(http("/health"), receive, exchanged.send))
    assert seen == [receive]
    assert recorded.segments == []


def test_the_agent_starts_with_the_app(recorded: Recorded) -> None:
    started: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        started.append(agent.current() is not None)
        assert await receive() == {"type": "lifespan.startup"}
        started.append(agent.current() is not None)
        await send({"type": "lifespan.startup.complete"})
        assert await receive() == {"type": "lifespan.shutdown"}
        await send({"type": "lifespan.shutdown.complete"})

    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    exchanged = call(wrapped(app), {"type": "lifespan"}, messages)
    assert [message["type"] for message in exchanged.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert started == [False, True]
    assert recorded.segments == []


def test_a_lifespan_within_starlette_keeps_its_state(recorded: Recorded) -> None:
    app = shop()
    app.add_middleware(SWProfilerMiddleware, service_name="shop")
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    exchanged = call(app, {"type": "lifespan", "state": {}}, messages)
    assert len(exchanged.sent) == 2
    assert call(app, http("/orders/7")).body == b"order 7"
    assert only(recorded).operation == "/orders/{number}"


def test_an_agent_that_cannot_start_leaves_the_lifespan_alone(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise OSError("no more threads")

    monkeypatch.setattr(agent, "attach", broken)
    app = wrapped(waiting([]))
    with caplog.at_level(logging.CRITICAL):
        call(app, {"type": "lifespan"}, [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    assert agent.current() is None


def test_an_exception_of_the_lifespan_passes_through(recorded: Recorded) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("no lifespan here")

    with pytest.raises(RuntimeError, match="no lifespan here"):
        call(wrapped(app), {"type": "lifespan"})


# Off


def test_off_gives_back_the_app() -> None:
    app = shop()
    assert SWProfilerMiddleware(app, enabled=False) is app


def test_off_in_the_environment_gives_back_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWPROF_ENABLED", "off")
    app = shop()
    assert SWProfilerMiddleware(app) is app


def test_off_around_one_that_is_on_leaves_that_on(recorded: Recorded) -> None:
    app = wrapped(shop())
    assert SWProfilerMiddleware(app, enabled=False) is app
    call(app, http("/orders/7"))
    assert len(recorded.segments) == 1


def test_off_as_middleware_of_an_app() -> None:
    app = shop()
    app.add_middleware(SWProfilerMiddleware, enabled=False)
    assert call(app, http("/orders/7")).body == b"order 7"
    assert agent.current() is None


def test_a_bad_setting_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="profile_max_parallel"):
        SWProfilerMiddleware(shop(), profile_max_parallel=0)


# Two of them


def test_an_app_with_the_middleware_in_one_that_has_it_is_one_request(recorded: Recorded) -> None:
    inner = shop()
    inner.add_middleware(SWProfilerMiddleware, service_name="shop")
    call(wrapped(Starlette(routes=[Mount("/m", inner)])), http("/m/orders/7"))
    assert only(recorded).operation == "/m/orders/{number}"
    with pytest.raises(KeyError):
        call(wrapped(Starlette(routes=[Mount("/m", inner)])), http("/m/failing"))
    assert recorded.last.is_error
    assert dict(recorded.last.log)["error.kind"] == "builtins.KeyError"


def test_a_call_of_another_app_within_a_request_is_its_work(recorded: Recorded) -> None:
    other = wrapped(sends(START, LAST))

    async def view(request: Request) -> Response:
        assert (await acall(other, http("/elsewhere"))).status == 202
        return PlainTextResponse("")

    call(wrapped(Starlette(routes=[Route("/", view)])), http("/"))
    assert only(recorded).operation == "/"


# Samples


def burn(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(500))


def prices() -> FastAPI:
    app = FastAPI()

    @app.get("/async/{x}")
    async def in_the_loop(x: int) -> int:
        burn(0.15)
        return x

    @app.get("/sync/{x}")
    def on_a_worker(x: int) -> int:
        burn(0.15)
        return x

    @app.get("/waiting/{x}")
    async def waits(x: int) -> int:
        await asyncio.sleep(0.15)
        return x

    @app.get("/mixed/{x}")
    async def mixes(x: int) -> int:
        await run_in_threadpool(burn, 0.15)
        return x

    return app


@pytest.mark.parametrize("is_inside", [True, False])
@pytest.mark.parametrize(
    ("path", "template", "functions"),
    [
        ("/async/1", "/async/{x}", ("in_the_loop", "burn")),
        ("/sync/1", "/sync/{x}", ("on_a_worker", "burn")),
        ("/waiting/1", "/waiting/{x}", ("waits", "sleep")),
        ("/mixed/1", "/mixed/{x}", ("mixes", "burn")),
    ],
)
def test_a_profile_shows_the_views_code(
    path: str, template: str, functions: tuple[str, str], is_inside: bool, recorded: Recorded
) -> None:
    app: Any = prices()
    if is_inside:
        app.add_middleware(SWProfilerMiddleware, service_name="shop")
    else:
        app = wrapped(app)
    call(app, http(path))  # frameworks import some modules with the first request
    recorded.profile(template)
    assert call(app, http(path)).body == b"1"
    stacks = [snapshot.stack for snapshot in recorded.snapshots]
    assert len(stacks) >= 3
    assert {stack[0] for stack in stacks} == {template}
    inside = [stack for stack in stacks if all(any(name in line for line in stack) for name in functions)]
    assert len(inside) >= len(stacks) / 2
