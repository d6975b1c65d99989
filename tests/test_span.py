"""The segment that a request becomes: its name, times, tags, errors, and the trace that it continues."""

from __future__ import annotations

import base64
import contextvars
import sys
import time
from typing import Any

import pytest

from swprof_mw import failures
from swprof_mw.application import Application
from swprof_mw.nested_span import NestedSpan
from swprof_mw.profiling import budget
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import EntrySpan
from tests.doubles import MS
from tests.recorded import Recorded
from tests.sampled import work_until_sampled

COMPONENT = 7001


def application(**settings: object) -> Application:
    """An app called ``shop``."""
    app = Application(COMPONENT, {"service_name": "shop", **settings})
    app.attach()
    return app


def opened(app: Application, method: str = "GET", path: str = "/users/7", **more: Any) -> EntrySpan:
    """A request of the app begins."""
    span = app.begin(method, path, **more)
    assert isinstance(span, EntrySpan)
    return span


def header(*fields: str) -> str:
    """An ``sw8`` header: span 2 of the trace and segment given."""
    trace, segment, *rest = (base64.b64encode(field.encode()).decode() for field in fields)
    return "-".join(["1", trace, segment, "2", *rest])


def test_a_request_becomes_a_segment_with_one_entry_span(recorded: Recorded) -> None:
    before = time.time_ns() // MS
    span = opened(application(), client=("10.0.0.1", 5000))
    span.route("/users/<int:uid>")
    time.sleep(0.005)
    span.end(200)
    [segment] = recorded.segments
    assert segment.operation == "/users/<int:uid>"
    assert segment.service == "shop"
    assert segment.instance == recorded.agent.instance
    assert segment.peer == "10.0.0.1:5000"
    assert segment.component == COMPONENT
    assert segment.tags == (("http.method", "GET"), ("http.url", "/users/7"), ("http.status_code", "200"))
    assert segment.segment_id == span.segment_id
    assert segment.trace_id
    assert segment.reference is None
    assert segment.log == ()
    assert not segment.is_error
    assert not segment.skip_analysis
    assert before <= segment.start <= segment.end - 5 <= time.time_ns() // MS


def test_segments_have_ids_of_their_own(recorded: Recorded) -> None:
    app = application()
    for _ in range(50):
        opened(app).end(200)
    assert len({segment.segment_id for segment in recorded.segments}) == 50
    assert len({segment.trace_id for segment in recorded.segments}) == 50


def test_a_request_ends_once_and_nothing_changes_it_afterwards(recorded: Recorded) -> None:
    span = opened(application())
    span.route("/users/{uid}")
    span.end(200)
    span.route("/other")
    span.route_by_path()
    span.error(ValueError("late"))
    span.end(500)
    [segment] = recorded.segments
    assert segment.operation == span.endpoint == "/users/{uid}"
    assert segment.log == ()


@pytest.mark.parametrize(("status", "error"), [(200, False), (404, False), (499, False), (500, True), (503, True)])
def test_statuses_from_500_on_are_errors(recorded: Recorded, status: int, error: bool) -> None:
    opened(application()).end(status)
    assert recorded.last.is_error is error
    assert ("http.status_code", str(status)) in recorded.last.tags


# Names.


def test_a_request_without_a_route_is_unmatched_whatever_its_path(recorded: Recorded) -> None:
    app = application()
    opened(app, path="/thought/up").end(404)
    span = opened(app, path="/users/7")
    span.route(None)
    span.end(200)
    assert {segment.operation for segment in recorded.segments} == {"<unmatched>"}


def test_the_name_does_not_follow_from_the_status(recorded: Recorded) -> None:
    span = opened(application())
    span.route("/users/<int:uid>")
    span.end(404)
    assert recorded.last.operation == "/users/<int:uid>"


def test_the_last_router_to_speak_knows_best(recorded: Recorded) -> None:
    span = opened(application())
    span.route("/users")
    span.route("/users/<int:uid>")
    span.end(200)
    assert recorded.last.operation == "/users/<int:uid>"


def test_an_app_of_unknown_kind_is_named_by_its_path(recorded: Recorded) -> None:
    span = opened(application(), path="/users/7")
    span.route_by_path()
    span.end(200)
    assert recorded.last.operation == "/users/{id}"


@pytest.mark.parametrize(
    ("mount", "template", "name"),
    [
        (("", ""), "/users/{uid}", "/users/{uid}"),
        (("/shops/7", "/shops/{shop}"), "/shops/7/users/{uid}", "/shops/{shop}/users/{uid}"),
        (("/shops/7", "/shops/{shop}"), "/shops/7", "/shops/{shop}"),
        (("/shops/7", "/shops/{shop}"), "/shops/77/users", "/shops/77/users"),
        (("/shops/7", "/shops/{shop}"), "/users/{uid}", "/users/{uid}"),
    ],
)
def test_an_inner_app_names_its_mount_by_the_template_of_it(
    recorded: Recorded, mount: tuple[str, str], template: str, name: str
) -> None:
    span = opened(application())
    span.mount = mount
    span.route(template)
    span.end(200)
    assert recorded.last.operation == name


def test_a_name_that_the_app_gives_is_taken_away_by_no_router(recorded: Recorded) -> None:
    span = opened(application())
    span.route("/users/<int:uid>")
    span.set_endpoint("users/first")
    span.route("/users/<int:uid>")
    span.route_by_path()
    span.set_endpoint("/users/best")
    span.end(200)
    assert recorded.last.operation == "/users/best"


def test_a_name_that_the_app_gives_may_match_a_task(recorded: Recorded) -> None:
    span = opened(application())
    recorded.profile("/best")
    span.set_endpoint("/best")
    assert span.profiler is not None
    span.end(200)


def test_the_format_of_names_is_the_apps_own(recorded: Recorded) -> None:
    span = opened(application(endpoint_format="{method}:{route}"), method="POST")
    span.route("/users")
    span.end(200)
    opened(application(endpoint_format="{method}:{route}")).end(404)
    assert [segment.operation for segment in recorded.segments] == ["POST:/users", "GET:<unmatched>"]


# Tags, logs, marks.


@pytest.mark.parametrize(("setting", "url"), [("path", "/users/7"), ("route", "/users/<int:uid>"), ("off", None)])
def test_what_the_url_tag_shows_is_a_setting(recorded: Recorded, setting: str, url: str | None) -> None:
    span = opened(application(url_tag=setting))
    span.route("/users/<int:uid>")
    span.end(200)
    assert dict(recorded.last.tags).get("http.url") == url


@pytest.mark.parametrize("message", [True, False])
def test_an_unhandled_exception_is_an_error_with_a_log(recorded: Recorded, message: bool) -> None:
    span = opened(application(exception_messages=message))
    span.error(ValueError("first"))
    span.error(ValueError("second"))
    span.end(200)
    segment = recorded.last
    assert segment.is_error
    log = dict(segment.log)
    assert log["error.kind"] == "builtins.ValueError"
    assert log.get("message") == ("first" if message else None)


class Unspeakable(Exception):
    """One of which not even the type can be told."""

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(name)


def test_an_exception_that_cannot_be_logged_is_an_error_still(recorded: Recorded) -> None:
    span = opened(application())
    span.error(Unspeakable())
    span.end(200)
    assert recorded.last.is_error


@pytest.mark.parametrize("analysed", [True, False])
def test_a_long_lived_request_is_kept_out_of_the_metrics_unless_wanted(recorded: Recorded, analysed: bool) -> None:
    app = application(long_lived_analysis=analysed)
    span = opened(app)
    span.mark_long_lived()
    span.end(200)
    opened(app).end(200)
    assert [segment.skip_analysis for segment in recorded.segments] == [not analysed, False]


def test_the_framework_may_turn_out_to_be_another(recorded: Recorded) -> None:
    span = opened(application())
    span.set_component(7050)
    span.end(200)
    assert recorded.last.component == 7050


# The trace.


def test_a_valid_header_is_continued(recorded: Recorded) -> None:
    opened(application(), sw8=header("trace", "segment", "web", "web-1", "/cart", "shop:80")).end(200)
    segment = recorded.last
    assert segment.trace_id == "trace"
    assert segment.reference is not None
    assert segment.reference.segment_id == "segment"
    assert segment.reference.span_id == 2


@pytest.mark.parametrize("sw8", ["", "1-x", "nonsense", "2" + header("t", "s", "a", "b", "c", "d")[1:]])
def test_any_other_header_begins_a_new_trace(recorded: Recorded, sw8: str) -> None:
    opened(application(), sw8=sw8).end(200)
    assert recorded.last.reference is None
    assert recorded.last.trace_id == recorded.last.segment_id


def test_a_header_that_is_not_valid_stands_in_the_log_once_a_minute(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    failures._last.clear()
    app = application()
    for _ in range(2):
        opened(app, sw8="1-nonsense").end(200)
    assert [segment.reference for segment in recorded.segments] == [None, None]
    assert caplog.text.count("sw8 that is not valid is ignored, of 10 characters") == 1
    assert "nonsense" not in caplog.text


# Profiling.


def test_a_profiled_requests_snapshots_carry_its_segments_id_and_lie_within_it(recorded: Recorded) -> None:
    app = application()
    recorded.profile("/users/<int:uid>")
    span = opened(app)
    span.enter(sys._getframe())
    span.route("/users/<int:uid>")
    work_until_sampled(3)
    span.end(200)
    segment, snapshots = recorded.last, recorded.snapshots
    assert len(snapshots) > 2
    assert {snapshot.segment_id for snapshot in snapshots} == {segment.segment_id}
    assert all(segment.start <= snapshot.time <= segment.end for snapshot in snapshots)
    assert snapshots[0].sequence == 0
    assert {snapshot.stack[0] for snapshot in snapshots} == {"/users/<int:uid>"}


def test_a_task_for_one_raw_path_begins_at_once(recorded: Recorded) -> None:
    app = application()
    recorded.profile("/users/7")
    span = opened(app)
    assert span.profiler is not None
    span.route("/users/<int:uid>")
    span.end(200)
    assert recorded.last.operation == "/users/<int:uid>"


def test_only_while_a_task_is_there_the_route_is_wanted_early(recorded: Recorded) -> None:
    app = application()
    before = opened(app)
    recorded.profile("/x")
    span = opened(app)
    assert [one.wants_route for one in (before, NestedSpan(before))] == [False, False]
    assert [one.wants_route for one in (span, NestedSpan(span))] == [True, True]
    before.end(200)
    span.end(200)


def test_a_segment_whose_sampling_was_stretched_says_so(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "WINDOW", 20 * MS)
    app = application(profile_max_cpu=0.001, url_tag="off")
    recorded.profile("/x")
    span = opened(app)
    span.enter(sys._getframe())
    span.route("/x")
    time.sleep(0.2)
    span.end(200)
    recorded.settle()
    assert int(dict(recorded.last.tags)["swprof.period_ms"]) >= 20


def test_a_request_can_be_found_no_more_when_it_reads_the_time_of_its_end(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample that found it was then taken before its end."""
    span = opened(application())
    span.enter(sys._getframe())
    seen: list[tuple[bool, bool]] = []

    def now() -> int:
        seen.append((span.ended, span.frame is None))
        return time.monotonic_ns()

    monkeypatch.setattr("swprof_mw.span.monotonic_ns", now)
    span.end(200)
    assert seen == [(True, True)]


# Which segments are sent.


def run(app: Application, route: str, seconds: float = 0.0) -> None:
    """A whole request."""
    span = opened(app)
    span.enter(sys._getframe())
    span.route(route)
    time.sleep(seconds)
    span.end(200)


def test_a_profiled_requests_segment_is_sent_in_any_case(recorded: Recorded) -> None:
    app = application(sample_n_per_3_secs=1)
    recorded.profile("/profiled")
    for _ in range(3):
        run(app, "/other")
    run(app, "/profiled", 0.03)
    assert [segment.operation for segment in recorded.segments].count("/profiled") == 1
    assert len(recorded.segments) <= 3  # a window of three seconds may have ended in between


def test_with_only_profiled_segments_each_endpoint_is_sent_once_and_profiled_ones_always(recorded: Recorded) -> None:
    app = application(trace_report="profiled")
    recorded.profile("/profiled")
    for route in ("/other", "/profiled"):
        for _ in range(3):
            run(app, route, 0.02 if route == "/profiled" else 0.0)
    operations = [segment.operation for segment in recorded.segments]
    assert (operations.count("/other"), operations.count("/profiled")) == (1, 3)


# Failures of ours.


def test_none_of_its_methods_raises(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    app = application()
    span = opened(app)

    def fail(*args: object) -> str:
        raise RuntimeError("made up")

    for name in ("route", "unmatched", "guess"):
        monkeypatch.setattr(app.names, name, fail)
    span.route("/x")
    span.route(None)
    span.route_by_path()
    span.end(200)
    assert span.ended
    assert recorded.segments == []


# Nested.


def test_an_inner_adapter_refines_the_name_and_tells_errors_and_nothing_else(recorded: Recorded) -> None:
    app = application()
    span = opened(app)
    nested = NestedSpan(span)
    nested.route("/outer")
    nested.route("/outer/{inner}")
    nested.route(None)
    nested.route_by_path()
    nested.mark_long_lived()
    nested.set_component(1)
    nested.leave()
    nested.error(ValueError("inner"))
    nested.end(500)
    assert not span.ended
    span.end(200)
    segment = recorded.last
    assert segment.operation == "/outer/{inner}"
    assert segment.component == COMPONENT
    assert segment.is_error
    assert not segment.skip_analysis
    assert ("http.status_code", "200") in segment.tags


def test_an_inner_adapter_does_not_move_the_requests_entry(recorded: Recorded) -> None:
    span = opened(application())
    frame = sys._getframe()
    span.enter(frame)
    nested = NestedSpan(span)
    nested.enter(sys._getframe())
    nested.enter_task(sys._getframe(), object(), object())
    nested.deactivate(nested.activate())  # type: ignore[func-returns-value]
    assert span.frame is frame
    assert span.task is None
    nested.leave()
    assert span.frame is frame
    span.end(200)
    assert span.frame is None


# The current request.


def test_a_request_is_current_between_activate_and_deactivate(recorded: Recorded) -> None:
    span = opened(application())
    token = span.activate()
    seen = [current_request.get()]
    span.deactivate(token)
    seen.append(current_request.get())
    assert seen == [span, None]
    span.end(200)


def test_deactivating_in_another_context_is_no_failure(recorded: Recorded) -> None:
    span = opened(application())
    token = contextvars.copy_context().run(span.activate)
    span.deactivate(token)
    assert current_request.get() is None
    span.end(200)
