"""Outages: each one has its course once, many of them side by side, and then every test looks at what became of it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from swprof_mw.config import Config
from swprof_mw.records import Finish
from swprof_mw.reporter.channel import DEADLINE, Connection
from swprof_mw.reporter.reporter import Reporter
from tests.faulty import FINISH, KEEP_ALIVE, QUERY, SEGMENTS, SNAPSHOTS, Backend, Received
from tests.outages import OUTAGES, Scene
from tests.reports import Probe, segment, snapshot
from tests.waiting import eventually

# What is measured here is time, and many outages of the module take theirs at once.
pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parent.parent
#: Long enough for the pauses to have grown to their longest.
LASTS = 5.0
#: What is awaited comes within so many seconds, or never: how long it took is measured.
PATIENCE = 60.0
#: A backend that is back is noticed within so many seconds.
BACK_WITHIN = 5.0


@dataclass
class Course:
    """What became of one outage.

    Attributes:
        segments, snapshots: their numbers, as given to the reporter.
        back: seconds from the end of the outage until every kind of call was answered again.
        calls: seconds that each call took.
        lines: of the log, level and text.
        breaks: connections that broke.
        received: what the backend saw.
        lost: segments, snapshots and finish reports that the reporter counts as lost.
    """

    segments: list[int] = field(default_factory=list)
    snapshots: list[int] = field(default_factory=list)
    back: float = 0.0
    calls: list[float] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    breaks: int = 0
    received: list[Received] = field(default_factory=list)
    lost: int = 0

    def messages(self, method: str) -> Iterator[Any]:
        """Those of the answered calls."""
        return (
            message for call in self.received if call.method == method and call.answered for message in call.messages
        )

    def arrived(self, method: str) -> list[int]:
        """The number of each segment or snapshot that was taken."""
        return [number for call in self.received if call.method == method and call.answered for number in numbers(call)]

    def repeated(self) -> int:
        """How many calls were answered, and yet something of them came again."""
        later: dict[str, set[int]] = {SEGMENTS: set(), SNAPSHOTS: set()}
        found = 0
        for call in reversed(self.received):
            if call.method in later and call.answered:
                found += not later[call.method].isdisjoint(numbers(call))
                later[call.method].update(numbers(call))
        return found


def numbers(call: Received) -> list[int]:
    """Of the segments or snapshots in a call."""
    if call.method == SEGMENTS:
        return [int(each.traceSegmentId) for message in call.messages for each in message.segments]
    return [message.sequence for message in call.messages]


class Watch(logging.Handler):
    """Notes by address what is logged, and how long each call takes."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._lines: list[tuple[str, str]] = []
        self._calls: list[tuple[str, float]] = []
        original = Connection.call

        def call(connection: Connection, *args: Any) -> Any:
            address, began = connection.address, time.monotonic()
            try:
                return original(connection, *args)
            finally:
                self._calls.append((address, time.monotonic() - began))

        patch.setattr(Connection, "call", call)

    def emit(self, record: logging.LogRecord) -> None:
        """Note it."""
        self._lines.append((record.levelname, record.getMessage()))

    def lines(self, address: str) -> list[tuple[str, str]]:
        """Level and text of those that name the address."""
        return [line for line in self._lines if address in line[1]]

    def calls(self, address: str) -> list[float]:
        """Seconds each."""
        return [seconds for called, seconds in self._calls if called == address]


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    """Of all that is done in this module."""
    logger = logging.getLogger("swprof_mw")
    level = logger.level
    with pytest.MonkeyPatch.context() as patch:
        watching = Watch(patch)
        logger.addHandler(watching)
        logger.setLevel(logging.INFO)
        yield watching
        logger.removeHandler(watching)
        logger.setLevel(level)


class Running:
    """All that happens side by side, each thing with grpc and without (``plain``).

    Attributes:
        courses: of each outage, by its name.
        moves: seconds that it took from one backend to another.
    """

    def __init__(self, pool: ThreadPoolExecutor, watch: Watch) -> None:
        both = (False, True)
        self.courses: dict[tuple[str, bool], Future[Course]] = {
            (kind, plain): pool.submit(course, kind, plain, watch) for kind in OUTAGES for plain in both
        }
        self.moves: dict[bool, Future[list[float]]] = {plain: pool.submit(moves, plain) for plain in both}


@pytest.fixture(scope="module")
def running(watch: Watch) -> Iterator[Running]:
    """Once for this module, half of them at a time: all at once they keep a machine too busy to notice an end."""
    with ThreadPoolExecutor(len(OUTAGES) + 2) as pool:
        yield Running(pool, watch)


@pytest.fixture(params=OUTAGES)
def kind(request: pytest.FixtureRequest) -> str:
    """An outage's name."""
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["grpc", "plain"])
def plain(request: pytest.FixtureRequest) -> bool:
    """Whether to do without grpc."""
    return bool(request.param)


@pytest.fixture
def found(running: Running, kind: str, plain: bool) -> Course:
    """What became of it."""
    return running.courses[kind, plain].result()


def course(kind: str, plain: bool, watch: Watch) -> Course:
    """Let it begin, last and end while segments and snapshots come steadily."""
    found, outage = Course(), OUTAGES[kind]
    with Scene() as scene:
        loop = reporter(scene.line.address, plain=plain)
        if kind == "absent":
            outage.begin(scene)
        loop.join(Probe(kind))
        loop.start()
        if kind != "absent":
            feed(loop, found)
            scene.backend.wait(lambda: answered(scene.backend, {SEGMENTS, SNAPSHOTS, QUERY, KEEP_ALIVE}), PATIENCE)
            outage.begin(scene)
        loop.report_finish(Finish(kind, "1", "one"))
        until = time.monotonic() + LASTS
        while time.monotonic() < until:
            feed(loop, found)
            time.sleep(0.2)
        loop.report_finish(Finish(kind, "1", "two"))
        scene.end()
        ended = time.monotonic()
        feed(loop, found)
        kinds = {SEGMENTS, SNAPSHOTS, QUERY, KEEP_ALIVE, FINISH}
        after = kinds - ({FINISH} if kind == "slow" else set())
        scene.backend.wait(lambda: answered(scene.backend, after, ended), PATIENCE)
        found.back = time.monotonic() - ended
        eventually(lambda: not (len(loop.segments) + len(loop.snapshots) + len(loop.finishes)), "all is sent", PATIENCE)
        if outage.told:
            eventually(lambda: "again" in watch.lines(scene.line.address)[-1][1], "its end is logged", PATIENCE)
        found.lost = sum(each.dropped + each.refused for each in (loop.segments, loop.snapshots, loop.finishes))
        loop.stop(2.0)
        found.breaks, found.received = scene.breaks, scene.backend.received
        found.lines, found.calls = watch.lines(scene.line.address), watch.calls(scene.line.address)
    return found


def moves(plain: bool) -> list[float]:
    """Seconds until reporting went on: at the last one of three, at the first one, and at the last one again."""
    found, took = Course(), []
    with Scene() as first, Scene() as second, Scene() as third:
        scenes = (first, second, third)
        loop = reporter(*(scene.line.address for scene in scenes), plain=plain)
        first.line.swallow()
        second.line.swallow()
        third.line.refuse()
        loop.join(Probe())
        loop.start()

        def went_on_at(scene: Scene) -> float:
            began = time.monotonic()
            feed(loop, found)
            scene.backend.wait(lambda: answered(scene.backend, {SEGMENTS, SNAPSHOTS, QUERY}, began), PATIENCE)
            return time.monotonic() - began

        time.sleep(4.0)
        third.line.open()
        took.append(went_on_at(third))
        third.backend.fault(hangs=True)
        first.line.open()
        took.append(went_on_at(first))
        third.backend.heal()
        first.line.refuse()
        took.append(went_on_at(third))
        eventually(lambda: not len(loop.segments) + len(loop.snapshots), "all is sent", PATIENCE)
        loop.stop(2.0)
        found.received = [call for scene in scenes for call in scene.backend.received]
        assert sorted(set(found.arrived(SEGMENTS))) == found.segments
        assert sorted(set(found.arrived(SNAPSHOTS))) == found.snapshots
    return took


def reporter(*addresses: str, plain: bool = False) -> Reporter:
    """One that asks and tells often."""
    often = {"heartbeat_period": 0.5, "profile_task_query_interval": 0.5}
    transport = "auto" if plain else "grpc"
    return Reporter(Config.load({"backend_services": addresses, "transport": transport, **often}, environ={}))


def feed(loop: Reporter, found: Course) -> None:
    """Some more."""
    for _ in range(12):
        loop.segments.add(segment(len(found.segments)))
        found.segments.append(len(found.segments))
    for _ in range(30):
        loop.snapshots.add(snapshot(len(found.snapshots)))
        found.snapshots.append(len(found.snapshots))


def answered(backend: Backend, methods: Iterable[str], since: float = 0.0) -> bool:
    """Whether of each there was an answered call since that monotonic time."""
    return all(any(call.at >= since for call in backend.calls(method)) for method in methods)


def test_each_call_of_an_outage_has_its_deadline(found: Course) -> None:
    assert max(found.calls) < DEADLINE + 0.5


def test_a_backend_that_is_back_is_noticed_in_time(found: Course, kind: str, plain: bool, watch: Watch) -> None:
    # Many outages at once keep a machine busy. One by itself tells whether it was that.
    assert found.back < BACK_WITHIN or course(kind, plain, watch).back < BACK_WITHIN


def test_all_that_was_queued_in_an_outage_arrives(found: Course) -> None:
    assert sorted(set(found.arrived(SEGMENTS))) == found.segments
    assert sorted(set(found.arrived(SNAPSHOTS))) == found.snapshots
    assert {message.taskId for message in found.messages(FINISH)} == {"one", "two"}
    assert found.lost == 0


def test_what_comes_twice_was_in_flight_at_a_break(found: Course) -> None:
    assert found.repeated() <= found.breaks


def test_one_line_tells_of_an_outage_and_one_of_its_end(found: Course, kind: str) -> None:
    levels = [level for level, _ in found.lines]
    assert levels == (["WARNING", "INFO"] if OUTAGES[kind].told else [])


def test_with_several_backends_reporting_goes_on_at_one_that_is_there(running: Running, plain: bool) -> None:
    assert max(running.moves[plain].result()) < BACK_WITHIN


@pytest.mark.costs
@pytest.mark.parametrize("kind", ["black hole", "flapping", "half-way", "RESOURCE_EXHAUSTED"])
def test_requests_do_not_notice_an_outage(kind: str) -> None:
    """The short form of the benchmark. A busy machine may slow down requests of one kind, but not time and again."""
    for _ in range(4):
        faults = benchmark(kind)
        if not faults:
            return
        assert all("ms added" in fault for fault in faults), faults
    raise AssertionError(faults)


def benchmark(kind: str) -> list[str]:
    """What of its promise an outage does not keep: requests with us and without by turns, while segments wait."""
    command = [sys.executable, "bench/outages.py", kind, "--surely", "--requests", "2000"]
    environment = {**os.environ, "PYTHONPATH": "."}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=90)
    faults = [line for line in done.stdout.splitlines() if line.startswith(f"{kind}: ")]
    assert bool(done.returncode) == bool(faults), done.stdout + done.stderr
    return faults
