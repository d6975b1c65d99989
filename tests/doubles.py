"""Stand-ins that several test files share: a clock set by hand, a sampler that samples nothing, patient waiting."""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from swprof_mw.clock import monotonic_ns
from swprof_mw.profiling.execution import ProfileTaskExecutionContext
from swprof_mw.profiling.profiler import ProfiledSpan, SegmentProfiler
from swprof_mw.profiling.sampler import Sampler
from swprof_mw.profiling.sampler_settings import SamplerSettings
from swprof_mw.profiling.task import COMMAND
from swprof_mw.records import Snapshot, TaskCommand
from tests.recorded import profile_task

if TYPE_CHECKING:
    import pytest  # the benchmarks have none

MS = 1_000_000
SECOND = 1_000_000_000
#: Some moment, ms since the epoch.
EPOCH_MS = 1_700_000_000_000


class FakeClock:
    """Monotonic and wall time, moved by hand, for the modules given.

    Attributes:
        now: monotonic ns.
        wall: ms since the epoch.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, modules: Iterable[str]) -> None:
        self.now = 5_000 * SECOND
        self.wall = EPOCH_MS
        for module in modules:
            monkeypatch.setattr(f"{module}.monotonic_ns", lambda: self.now)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * SECOND)
        self.wall += int(seconds * 1000)


class IdleSampler:
    """Takes what a sampler takes, and only remembers it."""

    def __init__(self) -> None:
        self.taken: list[SegmentProfiler] = []
        self.waiting: list[tuple[SegmentProfiler, int]] = []
        self.woken = 0
        self.busy: set[object] = set()

    def watch(self, place: object) -> None:
        """Nothing to note."""

    def prepare(self) -> None:
        """Always prepared."""

    def take(self, profiler: SegmentProfiler) -> None:
        """A slot is always free here."""
        self.taken.append(profiler)

    def wait(self, profiler: SegmentProfiler, due: int) -> None:
        """Until ``due``, monotonic ns."""
        self.waiting.append((profiler, due))

    def release(self, profiler: SegmentProfiler) -> None:
        """The request has ended."""

    def holds(self, context: object) -> bool:
        """Whether the test says so, by ``busy``."""
        return context in self.busy

    def wake(self) -> None:
        """Counted."""
        self.woken += 1


def arguments(**changes: str) -> dict[str, str]:
    """The arguments of a good task command that starts at ``EPOCH_MS``, with ``changes``."""
    return {
        "SerialNumber": "serial",
        "TaskId": "task",
        "EndpointName": "/shop",
        "Duration": "5",
        "MinDurationThreshold": "0",
        "DumpPeriod": "10",
        "MaxSamplingCount": "5",
        "StartTime": str(EPOCH_MS),
        "CreateTime": str(EPOCH_MS),
        **changes,
    }


def command(name: str = COMMAND, **changes: str) -> TaskCommand:
    """A good task command that starts at ``EPOCH_MS``, with ``changes``."""
    return TaskCommand(name, arguments(**changes))


def wait_until(condition: Callable[[], object], timeout: float = 20.0) -> None:
    """Wait until something is so; fails after ``timeout`` seconds, which is far longer than anything here takes."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.001)


def burn(seconds: float) -> None:
    """Compute for so long, by the processor clock of the calling thread."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(50))


_segments = itertools.count(1)


class Sampled:
    """A sampler on its own thread, and what it kept.

    Attributes:
        snapshots: all that were kept.
        full: while it is true the queue takes nothing.
    """

    def __init__(self, **changes: Any) -> None:
        self.snapshots: list[Snapshot] = []
        self.full = False
        # The interpreter's switch interval and the marks are left out unless a test is about them.
        self.sampler = Sampler(SamplerSettings(**{"switch_interval": 0, "mark_waiting": False, **changes}), self._sink)

    def _sink(self, snapshot: Snapshot) -> bool:
        if not self.full:
            self.snapshots.append(snapshot)
        return not self.full

    def context(self, endpoint: str = "/x", **changes: object) -> ProfileTaskExecutionContext:
        """The run of a task, from now on for a minute; ``changes`` as of ``profile_task``."""
        now = monotonic_ns()
        return ProfileTaskExecutionContext(profile_task(endpoint, **changes), self.sampler, now, now + 60 * SECOND)

    def settle(self) -> None:
        """Wait until nothing is sampled any more."""
        wait_until(lambda: not (self.sampler.taken or self.sampler._live or self.sampler._inbox))

    def segments(self) -> set[str]:
        """The requests of which snapshots were kept."""
        return {snapshot.segment_id for snapshot in self.snapshots}

    def of(self, span: ProfiledSpan) -> list[Snapshot]:
        """The snapshots of one request."""
        return [snapshot for snapshot in self.snapshots if snapshot.segment_id == span.segment_id]


@contextlib.contextmanager
def sampling(**changes: Any) -> Iterator[Sampled]:
    """A sampler with these settings, ended afterwards."""
    sampled = Sampled(**changes)
    try:
        yield sampled
    finally:
        sampled.sampler.stop(5.0)
    assert not sampled.sampler.taken, "a slot was not given back"


class PlainSpan(ProfiledSpan):
    """A request whose segment's id is as given."""

    def __init__(self, segment_id: str) -> None:
        super().__init__()
        self._segment_id = segment_id

    @property
    def segment_id(self) -> str:
        """As given."""
        return self._segment_id


def begin(context: ProfileTaskExecutionContext, endpoint: str = "/x") -> ProfiledSpan:
    """A request of this endpoint begins: no code of it runs anywhere yet."""
    span = PlainSpan(f"segment-{next(_segments)}")
    context.attempt_profiling(span, endpoint)
    return span


def end(span: ProfiledSpan) -> None:
    """The request ends."""
    span.ended = True
    span.leave()
    if span.profiler is not None:
        span.profiler.end(monotonic_ns())


def handle(context: ProfileTaskExecutionContext, view: Callable[[], object], endpoint: str = "/x") -> ProfiledSpan:
    """A whole request on the calling thread, as an adapter handles it."""
    span = begin(context, endpoint)
    span.enter(sys._getframe())
    try:
        view()
    finally:
        end(span)
    return span


def at_once(count: int, function: Callable[[int], object]) -> None:
    """Run ``function(0)`` to ``function(count - 1)`` on as many threads, all let go at the same moment."""
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        function(number)

    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(run, number) for number in range(count)]:
            done.result()
