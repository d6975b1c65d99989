"""The Flask middleware: how it is put in, what its spans say, that tasks are there before the view, and profiles."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, abort, request, request_started, stream_with_context

import swprof_mw
from swprof_mw import agent
from swprof_mw.config import ConfigError
from swprof_mw.flask import SWProfiler, hooks
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import EntrySpan
from tests.recorded import Recorded
from tests.sampled import spend, work_until_sampled
from tests.wsgi_client import ask, make_environ

#: Of a thread that a debugger or a coverage tool traces, no other thread may read the local variables.


def make_app(name: str = "shop") -> Flask:
    """An app without us."""
    app = Flask(name)
    app.config["TESTING"] = False

    @app.get("/users/<int:uid>")
    def user(uid: int) -> str:
        return f"user {uid}"

    @app.get("/fail")
    def fail() -> str:
        raise ValueError("secret")

    return app


def instrumented(app: Flask, **settings: Any) -> Flask:
    """The same app, with us."""
    app.wsgi_app = SWProfiler(app, **settings)  # type: ignore[method-assign]
    return app


def sampled() -> bool:
    """Whether the request that the calling code belongs to is being profiled."""
    span = current_request.get()
    assert isinstance(span, EntrySpan)
    return span.profiler is not None


# How it is put in


def test_the_middleware_calls_what_the_app_had_before(recorded: Recorded) -> None:
    app = make_app()
    before = app.wsgi_app
    profiler = SWProfiler(app)
    app.wsgi_app = profiler  # type: ignore[method-assign]
    assert profiler.app == before
    assert app.extensions["swprof"] is profiler
    assert ask(app, "/users/7").body == b"user 7"
    assert recorded.last.component == 7001


def test_an_app_may_come_later(recorded: Recorded) -> None:
    profiler = SWProfiler(service_name="later")
    apps = [make_app("one"), make_app("two")]
    for app in apps:
        profiler.init_app(app)
        assert isinstance(app.extensions["swprof"], SWProfiler)
        ask(app, "/users/7")
    assert [segment.service for segment in recorded.segments] == ["later", "later"]


def test_an_extension_made_with_an_app_puts_itself_in(recorded: Recorded) -> None:
    app = make_app()
    before = app.wsgi_app
    profiler = SWProfiler(app)
    assert app.wsgi_app is profiler
    assert vars(profiler)["app"] == before
    ask(app, "/users/7")
    assert [segment.operation for segment in recorded.segments] == ["/users/<int:uid>"]


def test_an_app_that_has_it_is_left_alone(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    app, profiler = make_app(), SWProfiler(service_name="shop")
    for each in (profiler, profiler, SWProfiler(service_name="shop")):
        each.init_app(app)
    there = app.extensions["swprof"]
    assert not isinstance(there.app, SWProfiler)
    assert app.wsgi_app is there
    assert caplog.messages == []
    SWProfiler(service_name="other").init_app(app)
    assert app.extensions["swprof"] is app.wsgi_app is there
    assert caplog.messages == ["the Flask app 'shop' has swprof_mw already, with other settings: these stay"]
    ask(app, "/users/7")
    assert [segment.service for segment in recorded.segments] == ["shop"]


def test_off_leaves_the_one_that_is_there_as_it_is(recorded: Recorded) -> None:
    app = instrumented(make_app())
    there = app.wsgi_app
    assert SWProfiler(app, enabled=False) is there
    SWProfiler(enabled=False).init_app(app)
    assert app.wsgi_app is there
    assert ask(app, "/users/7").body == b"user 7"


def test_without_an_app_it_says_what_is_missing(recorded: Recorded) -> None:
    with pytest.raises(RuntimeError, match="init_app"):
        ask(SWProfiler(), "/")


def test_two_apps_are_two_services_by_their_names(recorded: Recorded) -> None:
    one, two = instrumented(make_app("one")), instrumented(make_app("two"), service_name="second")
    ask(one, "/users/7")
    ask(two, "/users/7")
    assert [segment.service for segment in recorded.segments] == ["one", "second"]


def test_the_middleware_twice_makes_one_span(recorded: Recorded) -> None:
    ask(instrumented(instrumented(make_app())), "/users/7")
    assert [segment.operation for segment in recorded.segments] == ["/users/<int:uid>"]


def test_off_gives_back_what_the_app_had() -> None:
    app = make_app()
    before = app.wsgi_app
    assert SWProfiler(app, enabled=False) == before
    SWProfiler(enabled=False).init_app(app)
    assert "wsgi_app" not in vars(app)
    assert "swprof" not in app.extensions
    assert ask(app, "/users/7").body == b"user 7"
    assert agent.current() is None


def test_off_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWPROF_ENABLED", "off")
    app = make_app()
    assert SWProfiler(app) == app.wsgi_app


def test_off_in_the_apps_own_settings(recorded: Recorded) -> None:
    app = instrumented(make_app())
    app.config["SWPROF"] = {"enabled": False}
    assert ask(app, "/users/7").body == b"user 7"
    assert agent.current() is None


def test_the_apps_settings_are_read_at_the_first_request(recorded: Recorded) -> None:
    app = instrumented(make_app())
    app.config["SWPROF"] = {"service_name": "filled late"}
    ask(app, "/users/7")
    assert recorded.last.service == "filled late"


@pytest.mark.parametrize("settings", [{"profile_max_parallel": 0}, {"servicename": "x"}, "service_name=x"])
def test_a_bad_setting_found_late_is_logged_once_and_the_app_runs(
    recorded: Recorded, caplog: pytest.LogCaptureFixture, settings: object
) -> None:
    app = instrumented(make_app())
    app.config["SWPROF"] = settings
    for _ in range(3):
        assert ask(app, "/users/7").body == b"user 7"
    assert len([record for record in caplog.records if record.name == "swprof_mw"]) == 1
    assert agent.current() is None


@pytest.mark.parametrize("settings", [{"profile_max_parallel": 0}, {"servicename": "x"}])
def test_a_bad_keyword_is_refused_where_it_is_written(settings: dict[str, Any]) -> None:
    for app in (make_app(), None):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            SWProfiler(app, **settings)


def test_wrapping_an_app_starts_nothing_and_imports_no_grpc() -> None:
    code = (
        "import sys, threading, flask; from swprof_mw.flask import SWProfiler; app = flask.Flask('x');"
        "app.wsgi_app = SWProfiler(app); SWProfiler(app, enabled=False);"
        "assert 'grpc' not in sys.modules and 'google.protobuf' not in sys.modules;"
        "assert threading.active_count() == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# What its spans say


def test_a_span_tells_of_the_request(recorded: Recorded) -> None:
    ask(instrumented(make_app()), "/users/7?token=secret")
    span = recorded.last
    assert dict(span.tags) == {"http.method": "GET", "http.url": "/users/7", "http.status_code": "200"}
    assert (span.operation, span.peer, span.is_error) == ("/users/<int:uid>", "192.0.2.7:5123", False)


def test_an_exception_that_flask_turns_into_a_500_is_told(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    assert ask(instrumented(make_app()), "/fail").status == "500 INTERNAL SERVER ERROR"
    log = dict(recorded.last.log)
    assert (log["error.kind"], log["message"]) == ("builtins.ValueError", "secret")
    assert log["stack"].splitlines()[-1].endswith("in fail")
    assert recorded.last.is_error


def test_an_exception_that_flask_lets_pass_is_the_apps_own(recorded: Recorded) -> None:
    app = instrumented(make_app())
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ValueError, match="secret") as caught:
        ask(app, "/fail")
    assert caught.traceback[-1].name == "fail"
    assert dict(recorded.last.log)["message"] == "secret"


def test_what_is_ignored_runs_untouched(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    app = instrumented(make_app(), ignore_methods="GET")
    assert ask(app, "/users/7").body == b"user 7"
    assert ask(app, "/fail").status[:3] == "500"
    assert recorded.segments == []


def test_what_the_app_handles_is_no_error(recorded: Recorded) -> None:
    app = instrumented(make_app())
    app.register_error_handler(ValueError, lambda _: ("handled", 400))
    assert ask(app, "/fail").status == "400 BAD REQUEST"
    assert not recorded.last.is_error
    assert recorded.last.log == ()


def test_a_failing_session_is_an_error_of_no_route(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    class NoStore:
        """A session store that is down."""

        def open_session(self, *_: object) -> None:
            """Fail."""
            raise ConnectionError("store")

    caplog.set_level(logging.CRITICAL)
    app = instrumented(make_app())
    app.session_interface = NoStore()  # type: ignore[assignment]
    assert ask(app, "/users/7").status[:3] == "500"
    assert dict(recorded.last.log)["message"] == "store"
    assert recorded.last.operation == "<unmatched>"


# Tasks


def watching(app: Flask) -> list[tuple[str, bool]]:
    """Each step of a request of this app, and whether it was sampled by then."""
    seen: list[tuple[str, bool]] = []

    @app.url_value_preprocessor
    def preprocess(endpoint: str | None, values: dict[str, Any] | None) -> None:
        seen.append(("preprocess", sampled()))

    @app.before_request
    def before() -> None:
        seen.append(("before", sampled()))

    @app.get("/probe/<int:x>")
    def probe(x: int) -> str:
        seen.append(("view", sampled()))
        return "probed"

    return seen


@pytest.mark.parametrize("task", ["/probe/<int:x>", "/probe/7"])
def test_a_request_that_a_task_asks_for_is_sampled_before_any_of_its_code(recorded: Recorded, task: str) -> None:
    app = make_app()
    seen = watching(app)
    instrumented(app)
    ask(app, "/users/7")
    seen.clear()
    recorded.profile(task)
    ask(app, "/probe/7")
    assert seen == [("preprocess", True), ("before", True), ("view", True)]
    assert not recorded.agent.sampler.taken


def test_others_are_not(recorded: Recorded) -> None:
    app = make_app()
    seen = watching(app)
    ask(instrumented(app), "/users/7")
    seen.clear()
    recorded.profile("/users/<int:uid>")
    ask(app, "/probe/7")
    assert seen == [("preprocess", False), ("before", False), ("view", False)]


def test_a_request_without_a_route_can_be_asked_for(recorded: Recorded) -> None:
    app = make_app()
    seen = watching(app)
    ask(instrumented(app), "/users/7")
    seen.clear()
    recorded.profile("<unmatched>")
    ask(app, "/nothing")
    assert seen == [("preprocess", True), ("before", True)]


# Profiles


def profiled(recorded: Recorded, app: Flask, path: str) -> list[str]:
    """The lines of all stacks of one request."""
    ask(instrumented(app), "/users/7")
    recorded.profile(path)
    ask(app, path)
    assert not recorded.agent.sampler.taken
    return [line for snapshot in recorded.snapshots for line in snapshot.stack]


def test_a_profile_shows_the_generator_of_a_streamed_response(recorded: Recorded) -> None:
    app = make_app()

    @app.get("/stream")
    def stream() -> Response:
        def chunks() -> Iterator[str]:
            for _ in range(3):
                spend(0.03)
                work_until_sampled(1)
                yield request.path

        return Response(stream_with_context(chunks()))

    lines = profiled(recorded, app, "/stream")
    assert any("chunks:" in line for line in lines), lines
    assert recorded.last.end - recorded.last.start >= 89


def test_a_profile_shows_what_runs_when_a_response_is_closed(recorded: Recorded) -> None:
    app = make_app()

    def tidy_up() -> None:
        work_until_sampled()

    @app.get("/closing")
    def closing() -> Response:
        response = Response("x")
        response.call_on_close(tidy_up)
        return response

    lines = profiled(recorded, app, "/closing")
    assert any("tidy_up:" in line for line in lines), lines


def test_a_profile_shows_a_coroutine_view(recorded: Recorded) -> None:
    app = make_app()

    @app.get("/coroutine")
    async def coroutine() -> str:
        work_until_sampled()
        await asyncio.sleep(0.04)
        return "x"

    lines = profiled(recorded, app, "/coroutine")
    assert any("coroutine:" in line for line in lines), lines


def test_a_client_that_goes_away_gives_the_slot_back(recorded: Recorded) -> None:
    app = make_app()
    ended: list[str] = []

    @app.get("/stream")
    def stream() -> Response:
        def chunks() -> Iterator[str]:
            try:
                yield "a"
                yield "b"
            finally:
                ended.append("chunks")

        return Response(chunks())

    ask(instrumented(app), "/users/7")
    recorded.profile("/stream")
    body: Any = app(make_environ("/stream"), lambda *_: lambda data: None)
    assert next(iter(body)) == b"a"
    assert len(recorded.agent.sampler.taken) == 1
    body.close()
    assert ended == ["chunks"]
    assert not recorded.agent.sampler.taken
    assert recorded.last.operation == "/stream"


def test_an_abort_keeps_the_route(recorded: Recorded) -> None:
    app = make_app()
    app.add_url_rule("/gone/<x>", "gone", lambda x: abort(410))
    ask(instrumented(app), "/gone/1")
    assert recorded.last.operation == "/gone/<x>"
    assert dict(recorded.last.tags)["http.status_code"] == "410"


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt, type("Timeout", (BaseException,), {})])
def test_a_request_that_is_left_by_what_flask_does_not_handle_has_its_route(
    recorded: Recorded, exception: type[BaseException]
) -> None:
    app = make_app()

    @app.get("/left/<int:x>")
    def left(x: int) -> str:
        raise exception

    with pytest.raises(exception):
        ask(instrumented(app), "/left/1")
    assert (recorded.last.operation, recorded.last.is_error) == ("/left/<int:x>", True)


def test_an_exception_that_flask_lets_pass_leaves_the_route(recorded: Recorded) -> None:
    app = instrumented(make_app())
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ValueError, match="secret"):
        ask(app, "/fail")
    assert recorded.last.operation == "/fail"


def test_what_is_answered_as_a_whole_is_over_when_it_is_returned(recorded: Recorded) -> None:
    body = instrumented(make_app())(make_environ("/users/7"), lambda *_: lambda data: None)
    assert len(recorded.segments) == 1
    assert type(body).__module__.startswith("werkzeug"), "nothing is put around it"
    assert b"".join(body) == b"user 7"


class Own(Response):
    """A response with code of the app's where its body is closed."""

    def close(self) -> None:
        spend(0.03)
        super().close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: Own("x"), id="a close of its own"),
        pytest.param(lambda: Response(iter(["x"])), id="a generator"),
        pytest.param(lambda: stream_with_context(iter(["x"])), id="a generator with context"),
    ],
)
def test_any_other_answer_is_over_when_it_is_closed(recorded: Recorded, answer: Callable[[], Any]) -> None:
    app = make_app()
    app.add_url_rule("/answer", "answer", answer)
    body: Any = instrumented(app)(make_environ("/answer"), lambda *_: lambda data: None)
    assert b"".join(body) == b"x"
    assert recorded.segments == []
    body.close()
    assert recorded.last.operation == "/answer"


def test_a_callback_that_an_app_registers_at_last_keeps_the_request_open(recorded: Recorded) -> None:
    app = make_app()
    called: list[str] = []

    @app.after_request
    def remember(response: Response) -> Response:
        response.call_on_close(lambda: called.append(swprof_mw.trace_id()))
        return response

    body: Any = instrumented(app)(make_environ("/users/7"), lambda *_: lambda data: None)
    assert (called, recorded.segments) == ([], [])
    body.close()
    assert called == [recorded.last.trace_id]


def test_flasks_signal_is_used_only_while_a_task_runs(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    # Apps of other tests may be there still.
    monkeypatch.setattr("swprof_mw.flask.profiler.starts", hooks.Starts())
    request_started.disconnect(hooks._started)
    app, other = instrumented(make_app()), instrumented(make_app("other"))
    ask(app, "/users/7")
    ask(other, "/users/7")
    assert not request_started.receivers
    task = recorded.profile("/users/<int:uid>", service="shop")
    ask(other, "/users/7")
    assert not request_started.receivers
    ask(app, "/users/7")
    ask(other, "/users/7")
    assert len(request_started.receivers) == 1
    tasks = recorded.service("shop").tasks
    assert tasks.current is not None
    assert tasks.current.task is task
    tasks.stop_current_profile_task(tasks.current)
    ask(app, "/users/7")
    assert not request_started.receivers
