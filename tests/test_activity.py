"""Working or waiting, told by the threads' own processor clocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from swprof_mw.native import get_ident
from swprof_mw.profiling.activity import Activity, Doing
from swprof_mw.profiling.clocks import ThreadClocks
from swprof_mw.profiling.grid import next_deadline
from swprof_mw.profiling.sampler import _LEAD
from swprof_mw.profiling.scheduling import RunDelay
from swprof_mw.profiling.stacks import WAITING
from tests.doubles import MS, SECOND, burn, handle, sampling, wait_until

pytestmark = pytest.mark.alone

#: So long before a look the sampler glances, ns.
LEAD = int(_LEAD * SECOND)
#: So late a sampler wakes, and so late it has the GIL where another thread has to be asked for it, ns.
ALONE = 80_000
HANDED_OVER = 250_000


class Worker:
    """A thread that does something over and over.

    Attributes:
        ident: its identifier.
        ended: whether it has come to its end.
    """

    def __init__(self, clocks: ThreadClocks | None, work: Callable[[], object]) -> None:
        self.ident = 0
        self.used = 0.0
        self._stop = False
        self._clocks = clocks
        self._work = work
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        if self._clocks is not None:
            self._clocks.note(get_ident())
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
def working(clocks: ThreadClocks | None, work: Callable[[], object]) -> Iterator[Worker]:
    worker = Worker(clocks, work)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def shares(activity: Activity, thread_ids: list[int], looks: int = 40, every: float = 0.005) -> list[float]:
    """How often each of these threads was said to work."""
    counts = [0] * len(thread_ids)
    for _ in range(looks):
        found = activity.look(thread_ids, 0)
        counts = [count + (found[ident] is not Doing.WAITS) for count, ident in zip(counts, thread_ids, strict=True)]
        time.sleep(every)
    return [count / looks for count in counts]


def test_a_thread_that_sleeps_waits() -> None:
    clocks = ThreadClocks()
    activity = Activity(clocks)
    with working(clocks, lambda: time.sleep(0.05)) as worker:
        assert shares(activity, [worker.ident]) == pytest.approx([0], abs=0.15)


def test_a_thread_that_computes_works() -> None:
    clocks = ThreadClocks()
    activity = Activity(clocks)
    # Not always: other processes may keep it from a processor, and then it waits indeed.
    with working(clocks, lambda: burn(0.01)) as worker:
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

    def ends(self) -> int:
        """When the burst of this moment is over."""
        return self.now - self.now % (self.burst + self.pause) + (self.burst or 0)


def ticks(world: World, activity: Activity, count: int) -> Iterator[tuple[Doing, bool]]:
    """What is said of the thread at the ticks of a task, and whether it worked then.

    A look comes a little late, and later where the thread has the GIL: when it gives it up, or has to.
    """
    for _ in range(count):
        due = next_deadline(world.now, 10 * MS)
        if due - world.now > LEAD:
            world.now = due - LEAD
            activity.glance()
        world.now = due
        truth = world.works()
        world.now += ALONE
        if world.works():
            world.now = min(due + HANDED_OVER, world.ends() + ALONE)
        yield activity.look([1], world.now - due)[1], truth


@pytest.mark.parametrize(
    ("burst", "pause", "tolerance"),
    [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (1.0, 2.3, 0.03), (3.0, 7.0, 0.03), (10.0, 23.0, 0.01), (30.0, 70.0, 0.01)],
)
def test_bursts_from_a_millisecond_on_add_up_to_their_true_share(
    monkeypatch: pytest.MonkeyPatch, burst: float, pause: float, tolerance: float
) -> None:
    world = World(monkeypatch, int(burst * MS), int(pause * MS))
    clocks = ThreadClocks()
    activity = Activity(clocks)
    clocks.note(1)
    found = list(ticks(world, activity, 2_000))
    share = sum(doing is not Doing.WAITS for doing, _ in found) / len(found)
    assert share == pytest.approx(sum(truth for _, truth in found) / len(found), abs=tolerance + 0.001)
    assert share == pytest.approx(burst / (burst + pause), abs=tolerance + 0.01)


def test_a_burst_that_ends_before_the_look_gets_the_gil_is_told_from_working_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, 3 * MS, 7 * MS)
    clocks = ThreadClocks()
    activity = Activity(clocks)
    clocks.note(1)
    found = {doing for doing, truth in ticks(world, activity, 500) if truth}
    assert found >= {Doing.WORKS, Doing.WORKED}


@pytest.mark.parametrize(
    ("delayed", "used", "expected"),
    [
        (0, 80, True),
        (39, 80, True),
        (41, 80, False),
        (80, 17, False),
        (80, 15, True),
        (None, 17, False),
        (None, 15, True),
    ],
)
def test_a_look_far_too_late_still_sees_what_was_there_unless_only_the_sampler_was_held_up(
    monkeypatch: pytest.MonkeyPatch, delayed: int | None, used: int, expected: bool
) -> None:
    """It is 80 ms late: for ``delayed`` of them its thread was ready to run, and did not; the process used ``used``."""
    now, delay, work = 0, 7 * MS, 5 * MS
    monkeypatch.setattr("swprof_mw.profiling.activity.monotonic_ns", lambda: now)
    monkeypatch.setattr(RunDelay, "read", lambda self: delay if delayed is not None else None)
    monkeypatch.setattr(time, "process_time_ns", lambda: work)
    clocks = ThreadClocks()
    activity = Activity(clocks)
    assert not activity.stood_still(0), "nothing is known yet"
    activity.look([], 0)
    now, delay, work = 90 * MS, delay + (delayed or 0) * MS, work + used * MS
    assert activity.stood_still(10 * MS) is expected


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
    clocks = ThreadClocks()
    activity = Activity(clocks)
    with working(clocks, lambda: time.sleep(0.001)) as worker:
        assert worker.ident in activity.look([worker.ident], 0)
    # Joined, it may still be about to leave the system.
    wait_until(lambda: activity.look([worker.ident], 0) == {})


def test_a_thread_that_never_was_is_left_out() -> None:
    assert Activity(ThreadClocks()).look([12345], 0) == {}


def test_the_clock_of_a_thread_that_noted_none_follows_from_its_kernel_id(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = ThreadClocks()
    activity = Activity(clocks)
    monkeypatch.setattr("sys.platform", "linux")
    with working(None, lambda: time.sleep(0.02)) as worker:
        assert set(activity.look([worker.ident], 0)) == {worker.ident}
        monkeypatch.setattr("sys.platform", "darwin")
        assert Activity(ThreadClocks()).look([worker.ident], 0) == {}


def test_on_a_platform_without_thread_clocks_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "pthread_getcpuclockid")
    monkeypatch.setattr("sys.platform", "darwin")
    clocks = ThreadClocks()
    activity = Activity(clocks)
    clocks.note(get_ident())
    assert activity.look([get_ident()], 0) == {}


def test_what_was_forgotten_is_found_out_anew() -> None:
    clocks = ThreadClocks()
    activity = Activity(clocks)
    with working(clocks, lambda: time.sleep(0.02)) as worker:
        activity.look([worker.ident], 0)
        activity.forget()
        clocks.forget()
        assert set(activity.look([worker.ident], 0)) == {worker.ident}


def test_nothing_to_look_at_takes_no_time() -> None:
    began = time.process_time()
    assert Activity(ThreadClocks()).look([], 0) == {}
    assert time.process_time() - began < 0.05
