"""Working or waiting, told by the threads' own processor clocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from swprof_mw.native import get_ident
from swprof_mw.profiling.activity import Activity
from swprof_mw.profiling.grid import next_deadline
from swprof_mw.profiling.sampler import _LEAD, WAITING
from tests.doubles import MS, SECOND, burn, handle, sampling, wait_until

#: So long before a look the sampler glances, ns.
LEAD = int(_LEAD * SECOND)


class Worker:
    """A thread that does something over and over.

    Attributes:
        ident: its identifier.
        ended: whether it has come to its end.
    """

    def __init__(self, activity: Activity | None, work: Callable[[], object]) -> None:
        self.ident = 0
        self.used = 0.0
        self._stop = False
        self._activity = activity
        self._work = work
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        if self._activity is not None:
            self._activity.note(get_ident())
        self.ident = get_ident()
        while not self._stop:
            self._work()
            self.used = time.thread_time()

    def start(self) -> None:
        """Returns when it runs."""
        self._thread.start()
        wait_until(lambda: self.ident and self.used)

    def stop(self) -> None:
        """Returns when it has ended."""
        self._stop = True
        self._thread.join()


@contextmanager
def working(activity: Activity | None, work: Callable[[], object]) -> Iterator[Worker]:
    worker = Worker(activity, work)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def shares(activity: Activity, thread_ids: list[int], looks: int = 40, every: float = 0.005) -> list[float]:
    """How often each of these threads was said to work."""
    counts = [0] * len(thread_ids)
    for _ in range(looks):
        found = activity.look(thread_ids)
        counts = [count + found[ident] for count, ident in zip(counts, thread_ids, strict=True)]
        time.sleep(every)
    return [count / looks for count in counts]


def test_a_thread_that_sleeps_waits() -> None:
    activity = Activity()
    with working(activity, lambda: time.sleep(0.05)) as worker:
        assert shares(activity, [worker.ident]) == pytest.approx([0], abs=0.15)


def test_a_thread_that_computes_works() -> None:
    activity = Activity()
    # Not always: other processes may keep it from a processor, and then it waits indeed.
    with working(activity, lambda: burn(0.01)) as worker:
        assert shares(activity, [worker.ident], looks=100)[0] > 0


class World:
    """Time that passes only where it is slept, and one thread that works in bursts.

    Attributes:
        now: monotonic ns.
        burst, pause: of the thread, ns.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, burst: int, pause: int) -> None:
        self.now = 1_000 * SECOND
        self.burst = burst
        self.pause = pause
        monkeypatch.setattr("swprof_mw.profiling.activity.monotonic_ns", lambda: self.now)
        monkeypatch.setattr("swprof_mw.profiling.activity.sleep", self.sleep)
        monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: self.used())
        monkeypatch.setattr(time, "pthread_getcpuclockid", lambda thread_id: 1)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * SECOND)

    def used(self) -> int:
        """The thread's processor time."""
        cycles, rest = divmod(self.now, self.burst + self.pause)
        return cycles * self.burst + min(rest, self.burst)

    def works(self) -> bool:
        """Whether the thread works now."""
        return self.now % (self.burst + self.pause) < self.burst


def ticks(world: World, activity: Activity, count: int) -> Iterator[tuple[bool, bool]]:
    """What is said of the thread at the ticks of a task, and what is true."""
    for _ in range(count):
        deadline = next_deadline(world.now, 10 * MS)
        if activity.mixed and deadline - world.now > LEAD:
            world.now = deadline - LEAD
            activity.glance()
        world.now = deadline
        truth = world.works()
        yield activity.look([1])[1], truth


@pytest.mark.parametrize(
    ("burst", "pause", "tolerance"),
    [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (30.0, 70.0, 0.03), (10.0, 23.0, 0.05)],
)
def test_bursts_longer_than_a_look_add_up_to_their_true_share(
    monkeypatch: pytest.MonkeyPatch, burst: float, pause: float, tolerance: float
) -> None:
    world = World(monkeypatch, int(burst * MS), int(pause * MS))
    activity = Activity()
    activity.note(1)
    found = list(ticks(world, activity, 2_000))
    share = sum(said for said, _ in found) / len(found)
    assert share == pytest.approx(burst / (burst + pause), abs=tolerance + 0.001)
    assert sum(said == truth for said, truth in found) / len(found) >= 0.999 - tolerance


@pytest.mark.parametrize(("burst", "pause"), [(0.001, 0.0023), (0.01, 0.023)])
def test_bursts_of_a_real_thread_add_up_to_their_share(burst: float, pause: float) -> None:
    """Through the sampler, in the time that the backend reckons; with other processes beside, it is a rough measure."""
    used = lasted = 0.0

    def view() -> None:
        nonlocal used, lasted
        began, before = time.monotonic(), time.thread_time()
        while time.monotonic() - began < 1.2:
            burn(burst)
            time.sleep(pause)
        used, lasted = time.thread_time() - before, time.monotonic() - began

    with sampling(mark_waiting=True, switch_interval=0.5) as sampled:
        handle(sampled.context(), view)
        sampled.settle()
    waited = total = 0
    for one, other in pairwise(sampled.snapshots):
        if other.sequence == one.sequence + 1:
            total += other.time - one.time
            waited += (other.time - one.time) if one.stack == other.stack and one.stack[-1] == WAITING else 0
    assert 1 - waited / total == pytest.approx(used / lasted, abs=0.2)


def test_a_thread_that_ended_is_left_out() -> None:
    activity = Activity()
    with working(activity, lambda: time.sleep(0.001)) as worker:
        assert worker.ident in activity.look([worker.ident])
    # Joined, it may still be about to leave the system.
    wait_until(lambda: activity.look([worker.ident]) == {})


def test_a_thread_that_never_was_is_left_out() -> None:
    assert Activity().look([12345]) == {}


def test_the_clock_of_a_thread_that_noted_none_follows_from_its_kernel_id(monkeypatch: pytest.MonkeyPatch) -> None:
    activity = Activity()
    monkeypatch.setattr("sys.platform", "linux")
    with working(None, lambda: time.sleep(0.02)) as worker:
        assert set(activity.look([worker.ident])) == {worker.ident}
        monkeypatch.setattr("sys.platform", "darwin")
        assert Activity().look([worker.ident]) == {}


def test_on_a_platform_without_thread_clocks_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "pthread_getcpuclockid")
    monkeypatch.setattr("sys.platform", "darwin")
    activity = Activity()
    activity.note(get_ident())
    assert activity.look([get_ident()]) == {}


def test_what_was_forgotten_is_found_out_anew() -> None:
    activity = Activity()
    with working(activity, lambda: time.sleep(0.02)) as worker:
        activity.look([worker.ident])
        activity.forget()
        assert set(activity.look([worker.ident])) == {worker.ident}


def test_nothing_to_look_at_takes_no_time() -> None:
    began = time.process_time()
    assert Activity().look([]) == {}
    assert time.process_time() - began < 0.05
