"""The Django middleware under ASGI: coroutines, thread hops, streams, clients that go away."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests import django_project
from tests.asgi_driver import Exchanged, Message, acall, http
from tests.django_project import views
from tests.recorded import Recorded

# isort: split
import django
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, RequestFactory, override_settings

from swprof_mw.django import SWProfilerMiddleware
from swprof_mw.django import middleware as module
from swprof_mw.profiling.locate.place import current_request

#: Django warns that it reads such a stream to its end at once.
SYNC_STREAM = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
#: Of a thread that a debugger or a coverage tool traces, no other thread may read the local variables.
SYNC_BELOW = [*django_project.MIDDLEWARE, "tests.django_project.other_urls.by_host"]


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    """Each test starts with views that saw nothing."""
    views.seen.clear()
    yield
    views.seen.clear()


def answer(*paths: str) -> Exchanged:
    """The last of these requests' answers, one handler for all."""

    async def run() -> Exchanged:
        handler = ASGIHandler()
        for path in paths:
            exchanged = await acall(handler, http(path))
            assert current_request.get() is None
        return exchanged

    return asyncio.run(run())


def profiled(recorded: Recorded, path: str, task: str = "") -> list[str]:
    """The lines of all stacks of one request, profiled by a task for the path or another name."""

    async def run() -> None:
        handler = ASGIHandler()
        await acall(handler, http("/users/7"))
        recorded.profile(task or path)
        await acall(handler, http(path))

    asyncio.run(run())
    assert not recorded.agent.sampler.taken
    return [line for snapshot in recorded.snapshots for line in snapshot.stack]


def test_a_span_tells_of_the_request(recorded: Recorded) -> None:
    assert answer("/later/7").body == b"ok"
    span = recorded.last
    assert dict(span.tags) == {"http.method": "GET", "http.url": "/later/7", "http.status_code": "200"}
    assert (span.operation, span.component, span.peer) == ("/later/<int:x>", 7004, "10.1.2.3:4567")


@pytest.mark.parametrize("path", ["/fail", "/fail_later"])
def test_an_exception_that_django_turns_into_a_500_is_told(
    recorded: Recorded, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.set_level(logging.CRITICAL)
    assert answer(path).status == 500
    assert dict(recorded.last.log)["message"] == "secret"
    assert dict(recorded.last.log)["stack"].splitlines()[-1].endswith(f"in {path[1:]}")
    assert recorded.last.is_error


def test_an_exception_that_django_lets_pass_is_the_apps_own(recorded: Recorded) -> None:
    failure = ValueError("mine")

    async def fail(request: HttpRequest) -> HttpResponse:
        raise failure

    with pytest.raises(ValueError, match="mine") as caught:
        asyncio.run(SWProfilerMiddleware(fail)(RequestFactory().get("/x")))  # type: ignore[arg-type]
    assert caught.value is failure
    assert caught.traceback[-1].name == "fail"
    assert dict(recorded.last.log)["message"] == "mine"


def test_what_is_ignored_runs_untouched(recorded: Recorded) -> None:
    with override_settings(SWPROF={"ignore_methods": "GET"}):
        assert answer("/later/7").body == b"ok"
    assert recorded.segments == []


def test_naming_takes_no_thread(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    monkeypatch.setattr(module, "_name", lambda request: threads.append(threading.get_ident()))
    answer("/later/7")
    assert threads == [threading.get_ident()]


@pytest.mark.parametrize("task", ["/probe/<int:x>", "/probe/7"])
@pytest.mark.parametrize("path", ["/probe", "/probe_later"])
@pytest.mark.parametrize("middleware", [[django_project.OURS], django_project.MIDDLEWARE, SYNC_BELOW])
def test_a_request_that_a_task_asks_for_is_sampled_before_its_view(
    recorded: Recorded, path: str, task: str, middleware: list[str]
) -> None:
    with override_settings(MIDDLEWARE=middleware):
        profiled(recorded, f"{path}/7", task.replace("/probe", path))
    assert views.seen == [(f"{path}/<int:x>", True)]


@pytest.mark.parametrize(
    ("path", "function"),
    [
        ("/busy", "busy"),
        ("/busy_later", "busy_later"),
        ("/stream_later", "chunks_later"),
        pytest.param(
            "/stream", "chunks", marks=pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
        ),
    ],
)
@pytest.mark.parametrize("middleware", [django_project.MIDDLEWARE, SYNC_BELOW])
def test_a_profile_shows_the_view_and_what_it_streams(
    recorded: Recorded, path: str, function: str, middleware: list[str]
) -> None:
    with override_settings(MIDDLEWARE=middleware):
        lines = profiled(recorded, path)
    assert any(f"{function}:" in line for line in lines), lines
    assert any("spend:" in line for line in lines), lines
    assert recorded.last.end - recorded.last.start >= 79


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Django leaves the request's body open
def test_a_stream_that_breaks_is_an_error(recorded: Recorded) -> None:
    with pytest.raises(OSError, match="disk"):
        answer("/broken_later")
    gc.collect()
    assert dict(recorded.last.log)["message"] == "disk"
    assert recorded.last.is_error


@pytest.fixture
def _no_collection() -> Iterator[None]:
    """Nothing is collected while a test runs: what is only held by a circle stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@SYNC_STREAM
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Django leaves the request's body open
@pytest.mark.usefixtures("_no_collection")
@pytest.mark.parametrize("path", ["/broken", "/broken_later", "/stream", "/stream_later", "/file"])
@pytest.mark.parametrize("middleware", [django_project.MIDDLEWARE, SYNC_BELOW])
def test_a_response_that_django_does_not_close_gives_the_slot_back(
    recorded: Recorded, path: str, middleware: list[str]
) -> None:
    """One that breaks, or cannot be sent."""

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    async def run() -> None:
        handler = ASGIHandler()
        await acall(handler, http("/users/7"))
        recorded.profile(path)
        with pytest.raises(OSError):  # noqa: PT011
            await handler(http(path), Exchanged().receive, send)

    with override_settings(MIDDLEWARE=middleware):
        asyncio.run(run())
    assert not recorded.agent.sampler.taken
    assert recorded.last.operation == path


def test_a_stream_ends_with_its_last_chunk(recorded: Recorded) -> None:
    assert answer("/stream_later").body == b"xxx"
    assert len(recorded.segments) == 1


@SYNC_STREAM
def test_a_file_ends_with_its_response(recorded: Recorded) -> None:
    assert answer("/file").body == b"file"
    gc.collect()
    assert [segment.operation for segment in recorded.segments] == ["/file"]


async def leave(path: str, cancel: bool) -> None:
    """A client that goes away while it is answered: the server says so, or cancels the app's task."""
    messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
    gone = asyncio.Event()

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        """Nobody reads."""

    task = asyncio.ensure_future(ASGIHandler()(http(path), receive, send))
    while not views.seen:
        await asyncio.sleep(0.005)
    if cancel:
        task.cancel()
    gone.set()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


def notices(cancel: bool) -> bool:
    """Django 4.2 does not read what the server says; Django 5, when it is cancelled, leaves its own tasks running."""
    version: int = django.VERSION[0]
    return version >= 6 or cancel == (version < 5)


@pytest.mark.parametrize("cancel", [cancel for cancel in (True, False) if notices(cancel)])
@pytest.mark.parametrize(("path", "status"), [("/never", "499"), ("/endless", "200"), ("/stream_later", "200")])
def test_a_client_that_goes_away_gives_the_slot_back(recorded: Recorded, path: str, status: str, cancel: bool) -> None:
    answer("/users/7")
    recorded.profile(path)
    asyncio.run(leave(path, cancel))
    gc.collect()
    assert not recorded.agent.sampler.taken
    assert recorded.last.operation == path
    assert dict(recorded.last.tags)["http.status_code"] == status
    assert not recorded.last.is_error


def test_two_requests_at_once_are_told_apart(recorded: Recorded) -> None:
    async def run() -> None:
        handler = ASGIHandler()
        await acall(handler, http("/users/7"))
        await asyncio.gather(*(acall(handler, http(path)) for path in ("/later/1", "/busy_later", "/probe_later/2")))

    asyncio.run(run())
    assert sorted(segment.operation for segment in recorded.segments[1:]) == [
        "/busy_later",
        "/later/<int:x>",
        "/probe_later/<int:x>",
    ]
    assert views.seen == [("/probe_later/<int:x>", False)]


def test_djangos_own_test_client_sees_the_same(recorded: Recorded) -> None:
    async def run() -> bytes:
        client = AsyncClient()
        await client.get("/later/7")
        response: Any = await client.get("/stream_later")
        return b"".join([chunk async for chunk in response.streaming_content])

    assert asyncio.run(run()) == b"xxx"
    assert [segment.operation for segment in recorded.segments] == ["/later/<int:x>", "/stream_later"]


def test_without_a_running_loop_the_app_goes_on(recorded: Recorded) -> None:
    async def respond(request: HttpRequest) -> HttpResponse:
        return HttpResponse("ok")

    coroutine: Any = SWProfilerMiddleware(respond)(RequestFactory().get("/x"))
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    assert stopped.value.value.content == b"ok"
    assert len(recorded.segments) == 1
