"""WSGI apps as spans: what is read of a request, when it ends, and that neither side sees a difference."""

from __future__ import annotations

import base64
import contextlib
import gc
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

from swprof_mw import agent
from swprof_mw.application import Application
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import EntrySpan
from swprof_mw.wsgi.entry import SPAN, WSGIEntry
from tests.recorded import Recorded
from tests.sampled import spend
from tests.wsgi_client import App, ask, make_environ, watch

PLAIN = [("Content-Type", "text/plain")]


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The least app."""
    start_response("200 OK", PLAIN)
    return [b"hello"]


def entry(app: App = hello, **settings: object) -> WSGIEntry:
    """An app whose requests are traced, and an agent that runs."""
    application = Application(1, settings, default_name=lambda: "app")
    application.attach()
    return WSGIEntry(application, app)


class Reading:
    """A body that notes whether it was closed, and where its chunks were made."""

    def __init__(self, *chunks: bytes | BaseException) -> None:
        self.chunks = iter(chunks)
        self.closed = 0
        self.owners: list[object] = []

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.owners.append(current_request.get())
        chunk = next(self.chunks)
        if isinstance(chunk, BaseException):
            raise chunk
        return chunk

    def close(self) -> None:
        """What a server calls."""
        self.closed += 1
        self.owners.append(current_request.get())


def streaming(body: Iterable[bytes]) -> App:
    """An app that answers with this body."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return body

    return app


# What is read of a request


def test_a_request_is_one_span(recorded: Recorded) -> None:
    ask(entry(), "/a/b?secret=1", "post", SCRIPT_NAME="/mount")
    assert dict(recorded.last.tags) == {
        "http.method": "POST",
        "http.url": "/mount/a/b",
        "http.status_code": "200",
    }
    assert recorded.last.peer == "192.0.2.7:5123"
    assert not recorded.last.is_error
    assert recorded.last.service == "app"


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"PATH_INFO": "/caf\xc3\xa9"}, "/café"),
        ({"PATH_INFO": "/\xff"}, "/\N{REPLACEMENT CHARACTER}"),
        ({"SCRIPT_NAME": "/caf\xc3\xa9", "PATH_INFO": "/x"}, "/café/x"),
        ({"SCRIPT_NAME": "/app", "PATH_INFO": ""}, "/app"),
        ({"SCRIPT_NAME": "", "PATH_INFO": ""}, "/"),
    ],
)
def test_the_path_is_the_full_one_decoded(recorded: Recorded, environ: dict[str, str], path: str) -> None:
    ask(entry(), **environ)
    assert dict(recorded.last.tags)["http.url"] == path


def test_mount_and_path_may_be_missing(recorded: Recorded) -> None:
    environ = make_environ()
    del environ["SCRIPT_NAME"], environ["PATH_INFO"]
    watch(entry(), environ)
    assert dict(recorded.last.tags)["http.url"] == "/"


@pytest.mark.parametrize(
    ("environ", "peer"),
    [
        ({"REMOTE_PORT": ""}, "192.0.2.7"),
        ({"REMOTE_PORT": 80}, "192.0.2.7:80"),
        ({"REMOTE_ADDR": ""}, ""),
        ({"REMOTE_ADDR": None}, ""),
    ],
)
def test_the_peer_is_told_as_far_as_it_is_known(recorded: Recorded, environ: dict[str, Any], peer: str) -> None:
    ask(entry(), **environ)
    assert recorded.last.peer == peer


def test_a_trace_goes_on(recorded: Recorded) -> None:
    fields = [base64.b64encode(text.encode()).decode() for text in ("trace", "segment", "shop", "one", "/buy", "a:1")]
    ask(entry(), HTTP_SW8="-".join(["1", *fields[:2], "3", *fields[2:]]))
    reference = recorded.last.reference
    assert reference is not None
    assert (reference.trace_id, reference.span_id, reference.service) == ("trace", 3, "shop")
    assert recorded.last.trace_id == "trace"


@pytest.mark.parametrize("header", ["", "1-x-y", "nonsense", b"1-2-3", 7])
def test_an_invalid_trace_header_is_ignored(recorded: Recorded, header: object) -> None:
    assert ask(entry(), HTTP_SW8=header).status == "200 OK"
    assert recorded.last.reference is None


@pytest.mark.parametrize(
    ("said", "code", "failed"), [("404 Not Found", "404", False), ("503", "503", True), ("odd", "500", True)]
)
def test_the_status_is_the_apps(recorded: Recorded, said: str, code: str, failed: bool) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status=said, headers=PLAIN)
        return []

    ask(entry(app))
    assert dict(recorded.last.tags)["http.status_code"] == code
    assert recorded.last.is_error is failed


def test_a_body_may_say_the_status_with_its_first_chunk(recorded: Recorded) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("201 Created", PLAIN)
        yield b"x"

    ask(entry(app))
    assert dict(recorded.last.tags)["http.status_code"] == "201"


# Bad environs, and what is not traced


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REQUEST_METHOD", None),
        ("REQUEST_METHOD", 7),
        ("PATH_INFO", None),
        ("PATH_INFO", b"/bytes"),
        ("PATH_INFO", "/\N{SNOWMAN}"),
        ("SCRIPT_NAME", 3),
        ("SCRIPT_NAME", b"/bytes"),
    ],
)
def test_an_app_with_a_bad_environ_runs_as_without_us(recorded: Recorded, name: str, value: object) -> None:
    traced = entry()
    assert watch(traced, make_environ(**{name: value})) == watch(hello, make_environ(**{name: value}))
    assert recorded.segments == []
    ask(traced)
    assert len(recorded.segments) == 1


def test_a_path_that_is_no_text_at_all_is_as_bad(recorded: Recorded) -> None:
    environ = {**make_environ(), "SCRIPT_NAME": b"", "PATH_INFO": b"/bytes"}
    assert watch(entry(), environ) == watch(hello, environ)
    assert recorded.segments == []


def test_an_environ_without_a_method_is_the_apps_business(recorded: Recorded) -> None:
    assert watch(entry(), {}) == watch(hello, {})
    assert recorded.segments == []


def test_what_is_ignored_runs_untouched(recorded: Recorded) -> None:
    bodies = []
    app = streaming(Reading(b"x"))
    traced = entry(lambda *args: bodies.append(app(*args)) or bodies[0], ignore_methods="GET")  # type: ignore[func-returns-value]
    assert traced(make_environ(), lambda *_: lambda data: None) is bodies[0]
    assert recorded.segments == []


def test_off_means_no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWPROF_ENABLED", "off")
    assert ask(entry()).body == b"hello"
    assert agent.current() is None


# What the server and the app see of each other


class Sized:
    """Neither list nor tuple, but of a known length."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"a", b"b"])


class Indexed:
    """Iterable as Python 1 had it."""

    def __getitem__(self, index: int) -> bytes:
        return [b"a", b"b"][index]


class FailsToClose(Reading):
    """A body whose close fails."""

    def close(self) -> None:
        """Fail."""
        raise OSError("close")


def writes(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The old way to answer."""
    start_response("200 OK", PLAIN)(b"written")
    return []


def replaces(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """A failure before anything was sent is replaced by an error page."""
    start_response("200 OK", PLAIN)
    try:
        raise ValueError("late")
    except ValueError:
        start_response("500 Oops", PLAIN, sys.exc_info())
    return [b"sorry"]


def fails_midway(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    """A failure after the headers: the server raises what it is given."""
    start_response("200 OK", PLAIN)
    yield b"half"
    try:
        raise ValueError("midway")
    except ValueError:
        start_response("500 Oops", PLAIN, sys.exc_info())


def fails_at_once(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """No answer."""
    raise ValueError("at once")


def fails_after_start(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Half an answer."""
    start_response("200 OK", PLAIN)
    raise ValueError("after start")


def exits(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What a server's signal handler may raise in an app."""
    raise SystemExit(3)


def says_nothing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """An app that forgets to start its response."""
    return []


BODIES: dict[str, Callable[[], Any]] = {
    "list": lambda: [b"a", b"b"],
    "tuple": lambda: (b"a",),
    "bytes": lambda: b"ab",
    "empty": list,
    "sized": Sized,
    "indexed": Indexed,
    "iterator": lambda: Reading(b"a", b"b"),
    "generator": lambda: (chunk for chunk in [b"a"]),
    "map": lambda: map(bytes, [b"a"]),
    "failing chunk": lambda: Reading(b"a", OSError("chunk")),
    "failing close": lambda: FailsToClose(b"a"),
    "none": lambda: None,
    "file wrapper": lambda: FileWrapper(BytesIO(b"file")),
    "file": lambda: BytesIO(b"file"),
}
APPS = [writes, replaces, fails_midway, fails_at_once, fails_after_start, exits, says_nothing]


@pytest.mark.parametrize("wrapper", [None, FileWrapper, lambda file, size=1: FileWrapper(file, size)])
@pytest.mark.parametrize("kind", BODIES)
def test_a_server_sees_the_same_body(recorded: Recorded, kind: str, wrapper: object) -> None:
    environ: dict[str, Any] = {"wsgi.file_wrapper": wrapper} if wrapper else {}
    plain = watch(streaming(BODIES[kind]()), make_environ(**environ))
    assert watch(entry(streaming(BODIES[kind]())), make_environ(**environ)) == plain
    assert len(recorded.segments) == 1


@pytest.mark.parametrize("app", APPS)
def test_a_server_sees_the_same_calls(recorded: Recorded, app: App) -> None:
    assert watch(entry(app), make_environ()) == watch(app, make_environ())
    assert len(recorded.segments) == 1


def test_a_file_for_the_server_to_send_is_returned_as_it_is(recorded: Recorded) -> None:
    body = FileWrapper(BytesIO(b"file"))
    environ = {**make_environ(), "wsgi.file_wrapper": FileWrapper}
    assert entry(streaming(body))(environ, lambda *_: lambda data: None) is body
    assert len(recorded.segments) == 1


class OwnList(list[bytes]):
    """A framework's own kind of list."""


class OwnBytes(bytes):
    """A framework's own kind of bytes."""


#: gunicorn knows one such by its identity: the app has answered on the socket itself.
ALREADY_HANDLED = object()


@pytest.mark.parametrize(
    "body", [[b"a"], (b"a",), b"ab", OwnList([b"a"]), OwnBytes(b"ab"), bytearray(b"ab"), "ab", ALREADY_HANDLED, None]
)
def test_what_a_server_may_know_by_its_type_or_identity_is_returned_as_it_is(recorded: Recorded, body: Any) -> None:
    assert entry(streaming(body))(make_environ(), lambda *_: lambda data: None) is body
    assert dict(recorded.last.tags)["http.status_code"] == "200"


class Unreadable:
    """A status that a server was content with."""

    def __getitem__(self, index: object) -> str:
        raise LookupError(index)


def test_a_status_that_cannot_be_read_is_the_servers_to_judge(recorded: Recorded) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(Unreadable(), PLAIN)
        return [b"here"]

    assert ask(entry(app)).body == b"here"
    assert dict(recorded.last.tags)["http.status_code"] == "500"


def test_the_servers_write_reaches_the_app(recorded: Recorded) -> None:
    def write(data: bytes) -> None:
        """The server's."""

    got = []
    app = entry(lambda environ, start: got.append(start("200 OK", PLAIN)) or [])  # type: ignore[func-returns-value]
    app(make_environ(), lambda *_: write)
    assert got == [write]


def test_pep_3333_is_kept_on_both_sides(recorded: Recorded) -> None:
    class Body(Reading):
        """One that the validator accepts."""

    for body in ([b"hello"], Body(b"hel", b"lo")):
        assert ask(validator(entry(validator(streaming(body))))).body == b"hello"


def test_the_apps_exception_is_the_same_object_with_its_traceback(recorded: Recorded) -> None:
    failure = ValueError("mine")

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise failure

    with pytest.raises(ValueError, match="mine") as caught:
        ask(entry(app))
    assert caught.value is failure
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "app"
    assert dict(recorded.last.log)["error.kind"] == "builtins.ValueError"
    assert recorded.last.is_error
    assert dict(recorded.last.tags)["http.status_code"] == "500"


def test_a_failing_chunk_is_an_error_of_a_response_that_began(recorded: Recorded) -> None:
    with pytest.raises(OSError, match="disk"):
        ask(entry(streaming(Reading(b"a", OSError("disk")))))
    assert dict(recorded.last.log)["message"] == "disk"
    assert recorded.last.is_error
    assert dict(recorded.last.tags)["http.status_code"] == "200"


# When a request ends


def started(app: WSGIEntry) -> tuple[Any, EntrySpan]:
    """The body of a request that has begun, and its span."""
    environ = make_environ("/raw")
    body = app(environ, lambda *_: lambda data: None)
    span = environ[SPAN]
    assert isinstance(span, EntrySpan)
    return body, span


def read_and_close(body: Any) -> None:
    list(body)
    body.close()


def close_early(body: Any) -> None:
    next(iter(body))
    body.close()


def close_unread(body: Any) -> None:
    body.close()


def close_twice(body: Any) -> None:
    body.close()
    body.close()


def drop_unread(body: Any) -> None:
    pass


def drop_early(body: Any) -> None:
    next(iter(body))


def fail_and_close(body: Any) -> None:
    with contextlib.suppress(OSError):
        list(body)
    body.close()


@pytest.mark.parametrize(
    "finish", [read_and_close, close_early, close_unread, close_twice, drop_unread, drop_early, fail_and_close]
)
def test_the_slot_is_given_back_however_a_body_ends(recorded: Recorded, finish: Callable[[Any], None]) -> None:
    app = entry(streaming(Reading(b"a", b"b", *([OSError()] if finish is fail_and_close else []))))
    recorded.profile("/raw")
    body, span = started(app)
    assert len(recorded.agent.sampler.taken) == 1
    finish(body)
    del body
    gc.collect()
    assert span.ended
    assert not recorded.agent.sampler.taken
    assert len(recorded.segments) == 1
    assert current_request.get() is None
    assert span.frame is None


@pytest.mark.parametrize("app", [hello, *APPS])
def test_the_slot_is_given_back_however_an_app_ends(recorded: Recorded, app: App) -> None:
    traced = entry(app)
    recorded.profile("/raw")
    watch(traced, make_environ("/raw"))
    assert not recorded.agent.sampler.taken
    assert current_request.get() is None
    assert [segment.operation for segment in recorded.segments] == ["<unmatched>"]


def test_a_body_that_is_dropped_ends_its_request_though_the_app_keeps_an_exception(recorded: Recorded) -> None:
    """With its traceback, which leads out to all frames that the app was called through."""
    kept: list[BaseException] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            raise ValueError
        except ValueError as error:
            kept.append(error)
        start_response("200 OK", PLAIN)
        return Reading(b"a")

    traced = entry(app)
    recorded.profile("/raw")
    traced(make_environ("/raw"), lambda *_: lambda data: None)
    assert kept
    assert len(recorded.segments) == 1
    assert not recorded.agent.sampler.taken


def test_closing_is_the_apps_work_and_a_body_is_closed_as_often_as_the_server_says(recorded: Recorded) -> None:
    reading = Reading(b"a")
    body, span = started(entry(streaming(reading)))
    read_and_close(body)
    body.close()
    assert reading.closed == 2
    assert reading.owners == [span] * 4


def test_between_two_chunks_the_thread_belongs_to_nobody(recorded: Recorded) -> None:
    body, span = started(entry(streaming(Reading(b"a", b"b"))))
    for _ in body:
        assert current_request.get() is None
        assert span.frame is None
    ended = [span.ended]
    body.close()
    assert [*ended, span.ended] == [False, True]


def test_the_span_covers_the_whole_body(recorded: Recorded) -> None:
    def slow() -> Iterator[bytes]:
        time.sleep(0.03)
        yield b"x"

    ask(entry(streaming(slow())))
    assert recorded.last.end - recorded.last.start >= 29


# Requests within requests


def test_the_middleware_twice_makes_one_span(recorded: Recorded) -> None:
    assert ask(entry(entry(streaming(Reading(b"x"))))).body == b"x"
    assert len(recorded.segments) == 1


def test_a_call_to_another_path_is_the_requests_own_work(recorded: Recorded) -> None:
    inner = entry()
    spans = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        spans.append(environ[SPAN])
        copied = {**environ, "PATH_INFO": "/inner"}
        body = inner(copied, lambda *_: lambda data: None)
        spans.append(copied[SPAN])
        assert current_request.get() is environ[SPAN]
        start_response("200 OK", PLAIN)
        return body

    ask(entry(app), "/outer")
    assert len(recorded.segments) == 1
    assert isinstance(spans[0], EntrySpan)
    assert spans[1] is None


# Profiles


def test_a_profile_shows_the_app_its_chunks_and_its_close(recorded: Recorded) -> None:
    class Slow(Reading):
        """A body that takes its time to close."""

        def close(self) -> None:
            """Tidy up."""
            spend(0.06)

    def chunks() -> Iterator[bytes]:
        spend(0.06)
        yield b"x"

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        spend(0.06)
        start_response("200 OK", PLAIN)
        body = Slow()
        body.chunks = chunks()
        return body

    traced = entry(app)
    recorded.profile("/raw")
    ask(traced, "/raw")
    stacks = [line for snapshot in recorded.snapshots for line in snapshot.stack]
    for name in ("app", "chunks", "close"):
        assert any(f"{name}:" in line for line in stacks), (name, stacks)
    assert not any("ask" in line or "swprof_mw/" in line for line in stacks), stacks
