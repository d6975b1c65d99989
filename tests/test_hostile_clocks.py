"""Clocks that jump by an hour, either way, in the middle of anything."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swprof_mw import failures
from swprof_mw.application import Application
from swprof_mw.span import EntrySpan
from swprof_mw.wsgi.entry import WSGIEntry
from tests.doubles import MS, SECOND, PlainSpan
from tests.generated.amount import cases
from tests.recorded import Recorded
from tests.sampled import work, work_until_sampled
from tests.test_service import Scene
from tests.wsgi_client import ask

HOUR = 3_600 * SECOND
JUMPS = st.sampled_from([0, HOUR, -HOUR, 24 * HOUR, -24 * HOUR])


class Clocks:
    """The process's clocks as this package reads them, moved by hand besides.

    Attributes:
        wall: so much is added to the wall clock, ns.
        monotonic: so much is added to the monotonic clock, ns.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = 0
        self.monotonic = 0
        monkeypatch.setattr("swprof_mw.clock.time", self)
        monkeypatch.setattr("swprof_mw.profiling.service.time", self)
        for name, module in tuple(sys.modules.items()):
            if name.startswith("swprof_mw.") and getattr(module, "monotonic_ns", None) is time.monotonic_ns:
                monkeypatch.setattr(module, "monotonic_ns", lambda: time.monotonic_ns() + self.monotonic)
            if name.startswith("swprof_mw.") and getattr(module, "wall_ns", None) is time.time_ns:
                monkeypatch.setattr(module, "wall_ns", self.time_ns)

    def time_ns(self) -> int:
        """As of the module ``time``."""
        return time.time_ns() + self.wall


@pytest.fixture
def clocks(recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Clocks]:
    """Clocks that can be moved; nothing of ours fails meanwhile."""
    failures._last.clear()
    yield Clocks(monkeypatch)
    assert "swprof_mw failed" not in caplog.text


def application() -> Application:
    """One that has an agent."""
    made = Application(1, {"service_name": "shop"})
    made.attach()
    return made


@given(st.lists(JUMPS, min_size=4, max_size=4))
@cases(40)
def test_a_request_takes_as_long_as_it_takes_whatever_the_wall_clock_does(
    recorded: Recorded, clocks: Clocks, jumps: list[int]
) -> None:
    app = application()
    clocks.wall += jumps[0]
    expected = clocks.time_ns() // MS
    began = time.monotonic_ns()
    span = app.begin("GET", "/x")
    assert isinstance(span, EntrySpan)
    span.enter(sys._getframe())
    clocks.wall += jumps[1]
    span.route("/x")
    clocks.wall += jumps[2]
    time.sleep(0.002)
    clocks.wall += jumps[3]
    span.end(200)
    took = (time.monotonic_ns() - began) // MS
    segment = recorded.agent.reporter.segments._items.pop().segment()
    assert 2 <= segment.end - segment.start <= took + 1
    assert 0 <= segment.start - expected <= took + 1


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_snapshots_lie_within_their_request_whatever_the_wall_clock_does(
    recorded: Recorded, clocks: Clocks, jump: int
) -> None:
    def app(environ: object, start_response: Callable[..., object]) -> list[bytes]:
        work_until_sampled(3)
        clocks.wall += jump
        work_until_sampled(3)
        start_response("200 OK", [])
        return [b"done"]

    traced = WSGIEntry(application(), app)
    recorded.profile("/x")
    assert ask(traced, "/x").body == b"done"
    segment, snapshots = recorded.last, recorded.snapshots
    assert len(snapshots) >= 6
    assert all(segment.start <= snapshot.time <= segment.end for snapshot in snapshots)
    times = [snapshot.time for snapshot in snapshots]
    assert times == sorted(times)


@given(st.integers(0, 200), st.integers(1, 15), st.lists(st.tuples(st.integers(0, 300), JUMPS), max_size=6))
@cases(100)
def test_a_task_keeps_its_time_whatever_the_wall_clock_does(
    monkeypatch: pytest.MonkeyPatch, starts_in: int, minutes: int, events: list[tuple[int, int]]
) -> None:
    with monkeypatch.context() as patched:
        scene = Scene(patched)
        began = scene.clock.now
        scene.receive(scene.task("a", starts_in=starts_in, duration=minutes))
        for seconds, jump in events:
            scene.clock.advance(seconds)
            scene.clock.wall += jump // MS
            scene.service.process_profile_task()
            passed = (scene.clock.now - began) // SECOND
            assert scene.matches("/a") == (starts_in <= passed < starts_in + minutes * 60)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_the_monotonic_clock_may_jump_too(recorded: Recorded, clocks: Clocks, jump: int) -> None:
    """As on a machine that was stopped for an hour, and went on; or in a test that freezes time."""

    def app(environ: object, start_response: Callable[..., object]) -> list[bytes]:
        work_until_sampled(2)
        clocks.monotonic += jump
        work(0.05)
        start_response("200 OK", [])
        return [b"done"]

    traced = WSGIEntry(application(), app)
    recorded.profile("/x")
    assert ask(traced, "/x").body == b"done"
    assert recorded.last.end >= recorded.last.start
    assert not recorded.agent.sampler.taken
    recorded.settle()
    # Afterwards all is as before: a new task samples new requests.
    tasks = recorded.service().tasks
    if tasks.current is not None:
        tasks.stop_current_profile_task(tasks.current)
    recorded.profile("/y")
    before = len(recorded.snapshots)

    def later(environ: object, start_response: Callable[..., object]) -> list[bytes]:
        work_until_sampled(3)
        start_response("200 OK", [])
        return [b"later"]

    assert ask(WSGIEntry(traced.application, later), "/y").body == b"later"
    assert len(recorded.snapshots) >= before + 3


@given(st.lists(st.tuples(st.sampled_from(["begin", "route", "error", "end", "task", "process"]), JUMPS), max_size=12))
@cases(60)
def test_nothing_fails_however_the_monotonic_clock_jumps(
    recorded: Recorded, clocks: Clocks, steps: list[tuple[str, int]]
) -> None:
    app = application()
    tasks = recorded.service().tasks
    spans: list[EntrySpan] = []
    for step, jump in steps:
        clocks.monotonic += jump
        if step == "begin":
            span = app.begin("GET", "/x")
            assert isinstance(span, EntrySpan)
            spans.append(span)
        elif step == "task" and tasks.current is None:
            recorded.profile("/x")
        elif step == "process":
            tasks.process_profile_task()
        for span in spans:
            if step == "route":
                span.route("/x")
            elif step == "error":
                span.error(ValueError())
            elif step == "end":
                span.end(200)
    for span in spans:
        span.end(200)
    assert not recorded.agent.sampler.taken
    assert all(segment.end >= segment.start for segment in recorded.segments)
    recorded.agent.reporter.segments.abandon()
    if tasks.current is not None:
        tasks.stop_current_profile_task(tasks.current)


def test_a_clock_of_a_request_reads_the_wall_once() -> None:
    span = PlainSpan("segment")
    assert span.milliseconds(span.start + HOUR) - span.milliseconds(span.start) == HOUR // MS
