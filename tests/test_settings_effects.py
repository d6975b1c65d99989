"""Each setting by what it changes for a user: on the wire, in a segment, in a snapshot, in the process."""

from __future__ import annotations

import itertools
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import flask
import pytest

import swprof_mw
from swprof_mw import agent
from swprof_mw.application import Application
from swprof_mw.config import Config
from swprof_mw.flask import SWProfiler
from swprof_mw.records import Segment
from swprof_mw.reporter import reporter as reporter_module
from swprof_mw.span import EntrySpan
from tests import sampled
from tests.certificates import Authority
from tests.faulty import KEEP_ALIVE, PROPERTIES, QUERY, Backend, task_command
from tests.recorded import Recorded
from tests.sampled import kept, work, work_until_sampled
from tests.scripts import Script

ROOT = Path(__file__).resolve().parent.parent
F = TypeVar("F", bound=Callable[..., object])
covered: set[str] = set()


def effect(*settings: str) -> Callable[[F], F]:
    """Marks a test that sees the effect of these settings."""

    def note(function: F) -> F:
        covered.update(settings)
        return function

    return note


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """A backend that listens; what is queued is sent often."""
    monkeypatch.setattr(reporter_module, "FLUSH_INTERVAL", 0.05)
    with Backend() as started:
        yield started


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs what the TLS tests need."""
    return Authority(tmp_path_factory.mktemp("tls"))


def app(backend: Backend | None = None, **settings: object) -> Application:
    """An app of the service ``shop``, unless ``settings`` say otherwise, that reports to ``backend``."""
    where = {"backend_services": backend.address} if backend is not None else {}
    return Application(7001, {"service_name": "shop", **where, **settings})


def begin(application: Application, path: str = "/cart", method: str = "GET") -> EntrySpan:
    """A request, begun and routed; its code is what the caller does."""
    span = application.begin(method, path)
    assert isinstance(span, EntrySpan)
    span.enter(sys._getframe(1))
    span.route(path)
    return span


def request(application: Application, path: str = "/cart", method: str = "GET") -> None:
    """A request from its begin to its end."""
    begin(application, path, method).end(200)


def start(application: Application) -> None:
    """As the first request does, without one."""
    assert application.attach() is not None


def tags(segment: Segment) -> dict[str, str]:
    """The tags of its span."""
    return dict(segment.tags)


def test_every_setting_has_a_test_of_its_effect() -> None:
    assert covered == {field.name for field in fields(Config) if not field.name.startswith("_")}


# Who we are.


@effect("enabled")
def test_off_gives_back_the_app_and_does_nothing() -> None:
    plain = flask.Flask("plain")
    own = plain.wsgi_app
    assert SWProfiler(plain, enabled=False) == own
    code = """
import _thread, sys, flask
from swprof_mw.flask import SWProfiler
app = flask.Flask("plain")
app.wsgi_app = SWProfiler(app, enabled=False)
app.add_url_rule("/", view_func=lambda: "here")
print(app.test_client().get("/").text, "grpc" in sys.modules, _thread._count())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["here", "False", "0"]


@effect("enabled")
def test_off_in_the_framework_s_settings_lets_requests_pass() -> None:
    application = Application(7001, {"service_name": "shop"}, lambda: {"enabled": False})
    assert application.begin("GET", "/") is None
    assert agent.current() is None


@effect("service_name")
def test_the_service_is_called_by_its_name_or_by_the_app_s(recorded: Recorded) -> None:
    request(app(service_name="bank"))
    request(Application(7001, {}, default_name=lambda: "the app's own"))
    assert [segment.service for segment in recorded.segments] == ["bank", "the app's own"]


@effect("instance_name")
def test_an_instance_has_the_host_and_the_process_in_its_name(recorded: Recorded) -> None:
    request(app(instance_name="blue"))
    assert recorded.last.instance == f"blue@{socket.gethostname()}-{os.getpid()}"[:70]


@effect("instance_name")
def test_an_instance_without_a_name_is_unique(recorded: Recorded) -> None:
    request(app())
    one = recorded.last.instance
    agent.shut_down()
    request(app())
    assert recorded.last.instance != one
    assert recorded.last.instance.endswith(f"-{os.getpid()}")


@effect("namespace")
def test_a_namespace_is_part_of_the_service_s_name_and_of_the_properties(backend: Backend) -> None:
    request(app(backend, namespace="eu"))
    backend.wait(lambda: len(backend.segments()) == 1)
    assert backend.segments()[0].service == backend.messages(QUERY)[0].service == "shop|eu"
    assert ("namespace", "eu") in _properties(backend)


@effect("instance_properties")
def test_more_properties_are_shown_with_the_instance(backend: Backend) -> None:
    request(app(backend, instance_properties={"zone": "b", "canary": True}))
    backend.wait(lambda: len(backend.calls(PROPERTIES)) == 1)
    assert {("zone", "b"), ("canary", "true"), ("language", "python")} < set(_properties(backend))


# The backend.


@effect("backend_services")
def test_the_first_address_that_answers_is_reported_to(backend: Backend) -> None:
    with Backend() as gone:
        pass
    request(app(backend_services=f"{gone.address},{backend.address}"))
    backend.wait(lambda: len(backend.segments()) == 1)
    assert not gone.received


@effect("authentication")
def test_each_call_carries_the_token() -> None:
    with Backend(token="s3cret") as backend:
        backend.commands["shop"] = [task_command("/cart")]
        application = app(backend, authentication="s3cret", profile_task_query_interval=0.1)
        request(application, "/")
        service = application.attach()
        assert service is not None
        backend.wait(lambda: service.tasks.current is not None)
        span = begin(application)
        work_until_sampled()
        span.end(200)
        agent.shut_down()
        assert {call.method for call in backend.received} == {
            "collectInSync", "collectSnapshot", "getProfileTaskCommands", "keepAlive", "reportInstanceProperties",
            "reportTaskFinish",
        }  # fmt: skip
        assert {(call.token, call.answered) for call in backend.received} == {("s3cret", True)}


def tls_backend(authority: Authority, client_ca: bytes | None = None) -> Backend:
    """A backend that speaks TLS only."""
    key, certificate = authority.sign("server")
    return Backend(tls=(key.read_bytes(), certificate.read_bytes()), client_ca=client_ca)


@effect("tls_ca")
def test_a_backend_with_a_certificate_of_our_authority_is_reported_to(authority: Authority) -> None:
    with tls_backend(authority) as backend:
        request(app(backend, tls_ca=str(authority.certificate)))
        backend.wait(lambda: len(backend.segments()) == 1)


@effect("force_tls")
def test_forced_tls_does_not_talk_to_a_backend_that_nobody_vouches_for(authority: Authority) -> None:
    with tls_backend(authority) as backend:
        request(app(backend, force_tls=True))
        backend.wait(lambda: "CERTIFICATE_VERIFY_FAILED" in swprof_mw.stats().last_error)
        assert not backend.received


@effect("tls_cert", "tls_key")
def test_a_backend_that_asks_for_a_certificate_gets_ours(authority: Authority) -> None:
    key, certificate = authority.sign("client")
    ours = {"tls_ca": str(authority.certificate), "tls_cert": str(certificate), "tls_key": str(key)}
    with tls_backend(authority, client_ca=authority.certificate.read_bytes()) as backend:
        request(app(backend, tls_ca=ours["tls_ca"]))
        backend.wait(lambda: swprof_mw.stats().last_error != "")
        agent.shut_down(timeout=0.5)
        assert not backend.received
        request(app(backend, **ours))
        backend.wait(lambda: len(backend.segments()) == 1)


@effect("transport")
@pytest.mark.parametrize(
    ("transport", "variables", "imported"),
    [
        ("auto", {}, False),
        ("grpc", {}, True),
        ("auto", {"grpc_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1"}, True),
    ],
    ids=["auto", "grpc", "proxy"],
)
def test_the_grpc_library_makes_the_calls_where_it_is_asked_for_or_knows_the_way(
    backend: Backend, transport: str, variables: dict[str, str], imported: bool
) -> None:
    none = dict.fromkeys(("grpc_proxy", "https_proxy", "http_proxy"), "")
    out = Script(
        backend.address,
        """
        request()
        from swprof_mw import agent
        wait_for(lambda: agent.current().reporter.segments.sent == 1)
        print("grpc" in sys.modules)
        """,
        {**none, **variables, "SWPROF_TRANSPORT": transport},
    ).output()
    assert out.split() == [str(imported)]
    assert len(backend.segments()) == 1


@effect("heartbeat_period")
def test_the_instance_says_that_it_lives_at_this_period(backend: Backend) -> None:
    start(app(backend, heartbeat_period=0.3))
    backend.wait(lambda: len(backend.calls(KEEP_ALIVE)) == 4)
    assert 0.25 < _median_gap(backend, KEEP_ALIVE) < 0.45


@effect("profile_task_query_interval")
def test_tasks_are_asked_for_at_this_interval(backend: Backend) -> None:
    start(app(backend, profile_task_query_interval=0.3))
    backend.wait(lambda: len(backend.calls(QUERY)) == 4)
    assert 0.25 < _median_gap(backend, QUERY) < 0.45


@effect("profile_active")
def test_an_app_that_takes_no_tasks_does_not_ask_for_them(backend: Backend) -> None:
    start(app(backend, profile_active=False, heartbeat_period=0.1, profile_task_query_interval=0.1))
    start(app(backend, service_name="bank", heartbeat_period=0.1, profile_task_query_interval=0.1))
    backend.wait(lambda: len(backend.calls(QUERY)) == 3)
    assert {message.service for message in backend.messages(QUERY)} == {"bank"}
    assert {message.service for message in backend.messages(KEEP_ALIVE)} == {"shop", "bank"}


# What is queued.


@effect("trace_reporter_max_buffer_size")
def test_no_more_segments_wait_than_this(recorded: Recorded) -> None:
    application = app(trace_reporter_max_buffer_size=5)
    for number in range(8):
        request(application, f"/{number}")
    assert [segment.operation for segment in recorded.segments] == ["/0", "/1", "/2", "/3", "/4"]
    assert swprof_mw.stats().segments.dropped == 3


@effect("profile_snapshot_transport_buffer_size")
def test_no_more_snapshots_wait_than_this(recorded: Recorded) -> None:
    def view() -> None:
        _wait_until(lambda: swprof_mw.stats().snapshots.dropped > 0)

    # A sampler that is kept from looking for more than three periods leaves a number out, rightly: long ones.
    profile(recorded, app(profile_snapshot_transport_buffer_size=3), view, period=100)
    assert [snapshot.sequence for snapshot in recorded.snapshots] == [0, 1, 2]


# How requests are sampled.


def profile(recorded: Recorded, application: Application, view: Callable[[], object], period: int = 10) -> EntrySpan:
    """A request to ``/cart`` that is sampled, every so many ms, and that ``view`` answers."""
    start(application)
    recorded.profile("/cart", dump_period=period)
    span = begin(application)
    view()
    span.end(200)
    recorded.settle()
    return span


@effect("profile_max_parallel")
def test_no_more_requests_are_sampled_at_once_than_this(recorded: Recorded) -> None:
    application = app(profile_max_parallel=2)
    start(application)
    recorded.profile("/cart")
    spans = [begin(application), begin(application), begin(application)]
    assert (swprof_mw.stats().slots_taken, swprof_mw.stats().slots_refused) == (2, 1)
    _wait_until(lambda: len({each.segment_id for each in recorded.agent.reporter.snapshots.batch(99)}) == 2)
    for span in spans:
        span.end(200)
    assert {snapshot.segment_id for snapshot in recorded.snapshots} == {span.segment_id for span in spans[:2]}
    assert swprof_mw.stats().slots_taken == 0


@effect("profile_duration")
def test_a_request_is_sampled_no_longer_than_this(recorded: Recorded) -> None:
    def view() -> None:
        work_until_sampled(1)
        work(0.6)

    profile(recorded, app(profile_duration=0.1 / 60), view)
    times = [snapshot.time for snapshot in recorded.snapshots]
    assert times[-1] - times[0] < 400


@effect("profile_dump_max_stack_depth")
def test_a_deep_stack_keeps_its_root_and_its_innermost_frames(recorded: Recorded) -> None:
    def deep(level: int) -> None:
        if level:
            deep(level - 1)
        else:
            work_until_sampled(6)

    profile(recorded, app(profile_dump_max_stack_depth=5, profile_mark_waiting=False), lambda: deep(60))
    stacks = [snapshot.stack for snapshot in recorded.snapshots]
    assert max(len(stack) for stack in stacks) == 5
    longest = next(stack for stack in stacks if len(stack) == 5 and "tests/sampled.py." in stack[-1])
    assert longest[0] == "/cart"
    assert longest[1].startswith("[6")
    assert longest[1].endswith(" frames left out]")
    assert any("work_until_sampled: " in line for line in longest[2:])


@effect("profile_switch_interval")
@pytest.mark.parametrize(("milliseconds", "shortened"), [(1.0, True), (0, False)])
def test_the_switch_interval_is_shortened_while_a_request_is_sampled(
    recorded: Recorded, milliseconds: float, shortened: bool
) -> None:
    seen: set[float] = set()

    def view() -> None:
        enough = kept() + 4
        while kept() < enough:
            seen.add(sys.getswitchinterval())

    before = sys.getswitchinterval()
    profile(recorded, app(profile_switch_interval=milliseconds), view)
    assert (0.001 in seen) == shortened
    assert max(seen) <= 0.001 if shortened else seen == {before}
    _wait_until(lambda: sys.getswitchinterval() == before)


@effect("profile_max_cpu")
@pytest.mark.parametrize("url_tag", ["path", "off"])
def test_a_sampler_that_costs_too_much_samples_less_and_says_so(recorded: Recorded, url_tag: str) -> None:
    application = app(profile_max_cpu=0.001, url_tag=url_tag, profile_mark_waiting=False)
    profile(recorded, application, lambda: time.sleep(1.6))  # one stack all the time: each time is a sample's
    assert int(tags(recorded.last)["swprof.period_ms"]) >= 20
    times = sorted({snapshot.time for snapshot in recorded.snapshots})
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert statistics.median(gaps[:10]) < 15 < statistics.median(gaps[-8:])


@effect("profile_max_cpu")
def test_a_sampler_within_its_budget_says_nothing(recorded: Recorded) -> None:
    profile(recorded, app(profile_max_cpu=100), lambda: work(0.7))
    assert "swprof.period_ms" not in tags(recorded.last)


@effect("profile_mark_waiting")
@pytest.mark.parametrize("marked", [True, False])
def test_samples_of_a_request_that_waits_say_so(recorded: Recorded, marked: bool) -> None:
    def view() -> None:
        enough = kept() + 6
        while kept() < enough:
            time.sleep(0.1)

    profile(recorded, app(profile_mark_waiting=marked), view)
    last = [snapshot.stack[-1] for snapshot in recorded.snapshots]
    assert ("[waiting]" in last) == marked


@effect("code_signature")
@pytest.mark.parametrize(("form", "file"), [("short", "tests/sampled.py"), ("full", sampled.__file__)])
def test_a_frame_s_file_is_shown_short_or_in_full(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, form: str, file: str
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    profile(recorded, app(code_signature=form), work_until_sampled)
    ours = [line for snapshot in recorded.snapshots for line in snapshot.stack if ".work" in line]
    assert ours
    assert all(line.startswith(f"{file}.") for line in ours)


# What a segment says, and whether it is sent.


@effect("trace_report")
def test_only_profiled_requests_are_sent_and_one_of_each_endpoint(recorded: Recorded) -> None:
    application = app(trace_report="profiled")
    for path in ("/a", "/b", "/a", "/b", "/cart"):
        request(application, path)
    assert [segment.operation for segment in recorded.segments] == ["/a", "/b", "/cart"]
    profile(recorded, application, work_until_sampled)
    assert [segment.operation for segment in recorded.segments] == ["/a", "/b", "/cart", "/cart"]


@effect("sample_n_per_3_secs")
def test_only_so_many_segments_are_sent_in_three_seconds_and_every_profiled_one(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [30_000_000_000]
    monkeypatch.setattr("swprof_mw.trace_filter.monotonic_ns", lambda: now[0])
    application = app(sample_n_per_3_secs=2)
    for number in range(5):
        request(application, f"/{number}")
    assert [segment.operation for segment in recorded.segments] == ["/0", "/1"]
    profile(recorded, application, work_until_sampled)
    assert [segment.operation for segment in recorded.segments] == ["/0", "/1", "/cart"]
    now[0] += 3_000_000_000
    request(application, "/later")
    assert recorded.last.operation == "/later"


@effect("long_lived_analysis")
@pytest.mark.parametrize("counted", [True, False])
def test_long_lived_requests_are_kept_out_of_the_percentiles(recorded: Recorded, counted: bool) -> None:
    application = app(long_lived_analysis=counted)
    span = begin(application)
    span.mark_long_lived()
    span.end(101)
    request(application)
    assert [segment.skip_analysis for segment in recorded.segments] == [not counted, False]


@effect("url_tag")
@pytest.mark.parametrize(("shown", "url"), [("path", "/users/7"), ("route", "/users/<int:uid>"), ("off", None)])
def test_the_url_of_a_span_is_the_path_the_route_or_nothing(recorded: Recorded, shown: str, url: str | None) -> None:
    application = app(url_tag=shown)
    span = begin(application, "/users/7")
    span.route("/users/<int:uid>")
    span.end(200)
    assert tags(recorded.last).get("http.url") == url
    assert tags(recorded.last)["http.status_code"] == "200"


@effect("exception_messages")
@pytest.mark.parametrize("shown", [True, False])
def test_an_exception_s_message_is_sent_or_not(recorded: Recorded, shown: bool) -> None:
    span = begin(app(exception_messages=shown))
    span.error(ValueError("card 4711"))
    span.end(500)
    log = dict(recorded.last.log)
    assert log["error.kind"] == "builtins.ValueError"
    assert log.get("message") == ("card 4711" if shown else None)
    assert ("4711" in str(recorded.last)) == shown


@effect("trace_ignore_path")
def test_paths_are_neither_traced_nor_profiled(recorded: Recorded) -> None:
    application = app(trace_ignore_path="/health,/static/**")
    start(application)
    recorded.profile("/health")
    assert [application.begin("GET", path) for path in ("/health", "/static/a/b.css")] == [None, None]
    request(application, "/healthy")
    assert [segment.operation for segment in recorded.segments] == ["/healthy"]
    assert not recorded.agent.sampler.taken


@effect("ignore_methods")
def test_methods_are_neither_traced_nor_profiled(recorded: Recorded) -> None:
    application = app(ignore_methods="options,HEAD")
    start(application)
    assert [application.begin(method, "/") for method in ("OPTIONS", "HEAD")] == [None, None]
    request(application, method="POST")
    assert [tags(segment)["http.method"] for segment in recorded.segments] == ["POST"]


@effect("endpoint_format")
def test_an_endpoint_s_name_and_what_a_task_asks_for_have_the_format(recorded: Recorded) -> None:
    application = app(endpoint_format="{method}:{route}")
    start(application)
    recorded.profile("POST:/cart")
    for method in ("GET", "POST"):
        span = begin(application, method=method)
        if method == "POST":
            work_until_sampled()
        span.end(200)
    assert [segment.operation for segment in recorded.segments] == ["GET:/cart", "POST:/cart"]
    assert {snapshot.segment_id for snapshot in recorded.snapshots} == {recorded.last.segment_id}
    assert {snapshot.stack[0] for snapshot in recorded.snapshots} == {"POST:/cart"}


# Settings of several apps in one process.


def test_what_is_of_an_app_may_differ_from_app_to_app(recorded: Recorded) -> None:
    first, second = app(url_tag="off"), app(service_name="bank", url_tag="route", endpoint_format="{method} {route}")
    request(first)
    request(second)
    assert [segment.operation for segment in recorded.segments] == ["/cart", "GET /cart"]
    assert ["http.url" in tags(segment) for segment in recorded.segments] == [False, True]


def test_a_secret_that_differs_is_not_shown(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    request(app(authentication="s3cret"))
    assert app(authentication="0ther").begin("GET", "/") is None
    assert len(caplog.messages) == 1
    assert "authentication" in caplog.text
    assert "s3cret" not in caplog.text
    assert "0ther" not in caplog.text
    assert len(recorded.segments) == 1


def test_a_mistake_found_at_the_first_request_is_logged_once_and_the_app_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = flask.Flask("plain")
    plain.config["SWPROF"] = {"heartbeat_period": "often"}
    plain.add_url_rule("/", view_func=lambda: "here")
    plain.wsgi_app = SWProfiler(plain)  # type: ignore[method-assign]
    for _ in range(3):
        assert plain.test_client().get("/").text == "here"
    [line] = caplog.messages
    assert "heartbeat_period must be" in line
    assert "'often'" in line
    assert agent.current() is None


def _properties(backend: Backend) -> list[tuple[str, str]]:
    [message] = backend.messages(PROPERTIES)
    return [(pair.key, pair.value) for pair in message.properties]


def _median_gap(backend: Backend, method: str) -> float:
    times = [call.at for call in backend.calls(method)]
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(times))


def _wait_until(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
