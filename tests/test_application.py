"""One instrumented app: what it traces, what it connects to, and that its mistakes stay its own."""

from __future__ import annotations

import contextvars
import logging
import os
import threading
from collections.abc import Callable, Mapping

import pytest

from swprof_mw import agent
from swprof_mw.application import Application
from swprof_mw.config import ConfigError
from swprof_mw.nested_span import NestedSpan, Span
from swprof_mw.profiling.locate.place import Place, current_request
from swprof_mw.span import EntrySpan
from tests.recorded import Recorded

COMPONENT = 7001


def application(**settings: object) -> Application:
    """An app called ``shop``."""
    return Application(COMPONENT, {"service_name": "shop", **settings})


def inside(outer: Place, begin: Callable[[], Span | None]) -> Span | None:
    """What ``begin`` makes while ``outer`` is the current request."""
    context = contextvars.copy_context()
    context.run(current_request.set, outer)
    return context.run(begin)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# What is traced.


def test_nothing_is_started_before_the_first_request(recorded: Recorded) -> None:
    app = application()
    assert app.enabled
    assert agent.current() is None
    span = app.begin("GET", "/")
    assert isinstance(span, EntrySpan)
    assert set(recorded.agent.services) == {"shop"}
    span.end(200)


def test_an_app_that_is_off_traces_nothing_and_starts_nothing(recorded: Recorded) -> None:
    app = application(enabled=False)
    assert not app.enabled
    assert app.begin("GET", "/") is None
    assert agent.current() is None


@pytest.mark.parametrize(
    ("method", "path", "traced"),
    [
        ("GET", "/shop", True),
        ("OPTIONS", "/shop", False),
        ("GET", "/health", False),
        ("GET", "/static/css/a.css", False),
        ("GET", "/healthy", True),
    ],
)
def test_ignored_methods_and_paths_are_not_traced(recorded: Recorded, method: str, path: str, traced: bool) -> None:
    app = application(ignore_methods="OPTIONS", trace_ignore_path="/health,/static/**")
    span = app.begin(method, path)
    assert (span is not None) is traced
    if span is not None:
        span.end(200)


# The same request again.


def test_an_inner_adapter_of_the_same_request_gets_the_outer_span(recorded: Recorded) -> None:
    app, inner = application(), application()
    outer = app.begin("GET", "/shop")
    assert isinstance(outer, EntrySpan)
    nested = inside(outer, lambda: inner.begin("GET", "/shop"))
    assert isinstance(nested, NestedSpan)
    nested.route("/{page}")
    nested.end(500)
    outer.end(200)
    [segment] = recorded.segments
    assert segment.operation == "/{page}"
    assert ("http.status_code", "200") in segment.tags


@pytest.mark.parametrize(("method", "path"), [("GET", "/other"), ("POST", "/shop")])
def test_a_call_to_an_app_in_the_same_process_is_the_requests_own_work(
    recorded: Recorded, method: str, path: str
) -> None:
    app = application()
    outer = app.begin("GET", "/shop")
    assert isinstance(outer, EntrySpan)
    assert inside(outer, lambda: app.begin(method, path)) is None
    outer.end(200)


def test_a_request_that_has_ended_covers_no_other(recorded: Recorded) -> None:
    app = application()
    first = app.begin("GET", "/shop")
    assert isinstance(first, EntrySpan)
    first.end(200)
    second = inside(first, lambda: app.begin("GET", "/shop"))
    assert isinstance(second, EntrySpan)
    second.end(200)


def test_a_place_that_is_no_span_covers_nothing(recorded: Recorded) -> None:
    app = application()
    span = inside(Place(), lambda: app.begin("GET", "/shop"))
    assert isinstance(span, EntrySpan)
    span.end(200)


# Settings.


@pytest.mark.parametrize("settings", [{"service_nam": "x"}, {"profile_max_parallel": 0}, {"url_tag": "no"}])
def test_a_mistake_in_the_keywords_is_raised_by_the_constructor(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        application(**settings)


def test_a_mistake_in_the_environment_is_raised_by_the_constructor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SW_AGENT_PROFILE_MAX_PARALLEL", "many")
    with pytest.raises(ConfigError, match="profile_max_parallel"):
        application()


def test_the_frameworks_settings_are_read_at_the_first_request(recorded: Recorded) -> None:
    settings: dict[str, object] = {}
    app = Application(COMPONENT, {}, lambda: settings, lambda: "default")
    settings.update(service_name="late", endpoint_format="{method}:{route}")
    span = app.begin("GET", "/x")
    assert span is not None
    span.route("/x")
    span.end(200)
    assert (recorded.last.service, recorded.last.operation) == ("late", "GET:/x")


def test_keywords_come_before_the_frameworks_settings(recorded: Recorded) -> None:
    app = Application(COMPONENT, {"service_name": "keyword"}, lambda: {"service_name": "framework"})
    app.attach()
    assert set(recorded.agent.services) == {"keyword"}


def test_without_a_name_the_apps_own_is_taken(recorded: Recorded) -> None:
    Application(COMPONENT, {}, default_name=lambda: "own").attach()
    assert set(recorded.agent.services) == {"own"}


def refuse() -> Mapping[str, object]:
    raise RuntimeError("the app's settings are broken")


@pytest.mark.parametrize(
    ("framework", "keywords", "told"),
    [
        (lambda: {"service_nam": "x"}, {"service_name": "shop"}, "service_nam"),
        (lambda: {"profile_max_parallel": -1}, {"service_name": "shop"}, "profile_max_parallel"),
        (dict, {}, "service_name"),
        (list, {"service_name": "shop"}, "dict"),
        (refuse, {"service_name": "shop"}, "beginning a span"),
    ],
)
def test_a_mistake_found_at_the_first_request_is_logged_once_and_the_app_runs_without_us(
    recorded: Recorded,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    framework: Callable[[], Mapping[str, object]],
    keywords: dict[str, object],
    told: str,
) -> None:
    monkeypatch.setattr("swprof_mw.failures._last", {})
    app = Application(COMPONENT, keywords, framework)
    assert [app.begin("GET", "/x") for _ in range(3)] == [None, None, None]
    [line] = errors(caplog)
    assert told in line


def test_apps_of_several_names_share_an_agent(recorded: Recorded) -> None:
    for name in ("shop", "admin", "shop"):
        span = application(service_name=name).begin("GET", "/")
        assert span is not None
        span.end(200)
    assert set(recorded.agent.services) == {"shop", "admin"}
    assert [segment.service for segment in recorded.segments] == ["shop", "admin", "shop"]


def test_an_app_that_disagrees_on_a_setting_of_the_process_is_off(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    application().attach()
    other = application(service_name="admin", profile_max_parallel=7)
    assert [other.begin("GET", "/") for _ in range(2)] == [None, None]
    [line] = errors(caplog)
    assert "profile_max_parallel" in line


# Processes.


def test_in_a_child_process_an_app_connects_anew(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    app = application()
    first = app.begin("GET", "/")
    assert first is not None
    first.end(200)
    parent, process = recorded.agent, os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: process + 1)
    second = app.begin("GET", "/")
    assert second is not None
    second.end(200)
    child = recorded.agent
    assert child is not parent
    assert child.instance != parent.instance
    assert [len(each.reporter.segments) for each in (parent, child)] == [1, 1]
    agent.shut_down()


def test_a_mistake_is_told_again_in_each_process(
    recorded: Recorded, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Application(COMPONENT, {})
    process = os.getpid()
    for offset in (0, 0, 1, 1):
        monkeypatch.setattr(os, "getpid", lambda offset=offset: process + offset)
        assert app.begin("GET", "/") is None
    assert len(errors(caplog)) == 2


def test_requests_that_come_while_the_first_one_connects_are_traced_too(recorded: Recorded) -> None:
    """The first one takes its time over the settings; the second one does not wait for it, nor go by untraced."""
    entered, leave = threading.Event(), threading.Event()
    slow = threading.local()

    def settings() -> Mapping[str, object]:
        if getattr(slow, "wait", False):
            entered.set()
            assert leave.wait(20)
        return {}

    app = Application(COMPONENT, {"service_name": "shop"}, settings)
    found: list[Span | None] = []

    def first() -> None:
        slow.wait = True
        found.append(app.begin("GET", "/first"))

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(20)
    found.append(app.begin("GET", "/second"))
    leave.set()
    thread.join()
    found.append(app.begin("GET", "/third"))
    assert all(isinstance(span, EntrySpan) for span in found)
    for span in found:
        assert span is not None
        span.end(200)
    assert len(recorded.segments) == 3


# Profiling.


def test_a_request_whose_raw_path_a_task_asks_for_is_profiled_from_its_begin(recorded: Recorded) -> None:
    app = application(endpoint_format="{method}:{route}")
    app.attach()
    recorded.profile("GET:/users/7")
    span = app.begin("GET", "/users/7")
    other = app.begin("GET", "/users/8")
    assert isinstance(span, EntrySpan)
    assert isinstance(other, EntrySpan)
    assert span.profiler is not None
    assert other.profiler is None
    span.end(200)
    other.end(200)


def test_a_task_of_one_service_does_not_profile_another(recorded: Recorded) -> None:
    shop, admin = application(), application(service_name="admin")
    shop.attach()
    admin.attach()
    recorded.profile("/x", service="shop")
    spans = [app.begin("GET", "/x") for app in (shop, admin)]
    assert [span.profiler is not None for span in spans if isinstance(span, EntrySpan)] == [True, False]
    for span in spans:
        assert span is not None
        span.end(200)


def test_a_failure_of_ours_lets_the_request_go_by(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    app = application()
    app.attach()
    monkeypatch.setattr("swprof_mw.application.EntrySpan", None)
    assert app.begin("GET", "/") is None


# What is not to be reported.


def test_which_requests_are_due_is_remembered_for_so_many_routes(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swprof_mw.application._UNWANTED", 3)
    app = application(trace_report="profiled")
    for route in ("/a", "/b", "/c", "/d", "/e"):
        span = app.begin("GET", route)
        assert isinstance(span, EntrySpan)
        assert app.is_due("GET", route)
        span.route(route)
        span.end(200)
        assert not any(app.is_due("GET", route) for _ in range(3))
    assert len(recorded.segments) == 5
    assert 0 < len(app._unwanted) <= 3
