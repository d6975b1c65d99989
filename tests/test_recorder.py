"""Samples become snapshots out of which the backend reckons the true milliseconds, whatever is lost on the way."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swprof_mw.clock import RequestClock
from swprof_mw.profiling.recorder import LOST_AFTER, SnapshotRecorder, Stack
from swprof_mw.records import Snapshot
from tests.doubles import MS

PERIOD = 10 * MS
A: Stack = ("root", "a")
B: Stack = ("root", "b")
C: Stack = ("root", "b", "c")

#: A sample: time since the request's begin in ns, stack, and period until the next one in ns.
Taken = tuple[int, Stack, int]


class Request:
    """A request that is recorded.

    Attributes:
        snapshots: what was kept.
        refuse: the numbers of the calls to the sink, from 0, at which the queue is full.
    """

    def __init__(self, *refuse: int) -> None:
        self.refuse = frozenset(refuse)
        self.snapshots: list[Snapshot] = []
        self.clock = RequestClock()
        self.recorder = SnapshotRecorder("task", "segment", self.clock, self._sink)
        self._calls = 0

    def _sink(self, snapshot: Snapshot) -> bool:
        full = self._calls in self.refuse
        self._calls += 1
        if not full:
            self.snapshots.append(snapshot)
        return not full

    def sample(self, stack: Stack, at_ms: int, period: int = PERIOD) -> None:
        """A sample, ms after the begin."""
        self.recorder.sample(stack, self.clock.start + at_ms * MS, period)

    def close(self, at_ms: int) -> None:
        """The end, ms after the begin."""
        self.recorder.close(self.clock.start + at_ms * MS)

    def play(self, samples: list[Taken], end: int) -> None:
        """All of these, and the end; times in ns."""
        for at, stack, period in samples:
            self.recorder.sample(stack, self.clock.start + at, period)
        self.recorder.close(self.clock.start + end)

    @property
    def brief(self) -> list[tuple[int, int, str]]:
        """Number, ms since the begin, and innermost signature of each snapshot."""
        begin = self.clock.milliseconds(self.clock.start)
        return [(each.sequence, each.time - begin, each.stack[-1]) for each in self.snapshots]


def prefixes(stack: Stack) -> set[Stack]:
    """The nodes of the backend's tree that a stack is part of."""
    return {stack[:length] for length in range(1, len(stack) + 1)}


def analysed(snapshots: list[Snapshot]) -> Counter[Stack]:
    """What the backend says of each node, ms: the time between two consecutive numbers goes to what both share."""
    found: Counter[Stack] = Counter()
    for one, other in pairwise(sorted(snapshots, key=lambda snapshot: snapshot.sequence)):
        if other.sequence == one.sequence + 1:
            for node in prefixes(one.stack) & prefixes(other.stack):
                found[node] += other.time - one.time
    return +found


def truth(clock: RequestClock, samples: list[Taken], end: int) -> Counter[Stack]:
    """What each node lasted, ms: a sample's stack holds until the next one, unless too long passed until then."""
    found: Counter[Stack] = Counter()
    for (at, stack, period), following in zip(samples, [*(at for at, _, _ in samples[1:]), end], strict=True):
        if following - at <= LOST_AFTER * period:
            begin, finish = (clock.milliseconds(clock.start + time) for time in (at, following))
            for node in prefixes(stack):
                found[node] += finish - begin
    return +found


def lost(samples: list[Taken]) -> int:
    """Stretches without a sample that were too long."""
    return sum(other[0] - one[0] > LOST_AFTER * one[2] for one, other in pairwise(samples))


def gaps(snapshots: list[Snapshot]) -> list[int]:
    """How many numbers were left out, at each place where some were."""
    return [left_out for one, other in pairwise(snapshots) if (left_out := other.sequence - one.sequence - 1)]


def test_a_run_of_equal_stacks_is_closed_at_the_time_of_the_one_that_follows() -> None:
    request = Request()
    for at, stack in [(0, A), (10, A), (20, B), (30, A)]:
        request.sample(stack, at)
    request.close(35)
    assert request.brief == [
        (0, 0, "a"),
        (1, 10, "a"),
        (2, 20, "a"),
        (3, 20, "b"),
        (4, 30, "b"),
        (5, 30, "a"),
        (6, 35, "a"),
    ]


def test_snapshots_carry_the_task_and_the_segment() -> None:
    request = Request()
    request.sample(A, 0)
    assert request.snapshots == [
        Snapshot("task", "segment", request.clock.milliseconds(request.clock.start), 0, ("root", "a"))
    ]


def test_a_request_counts_as_started_with_its_first_kept_snapshot() -> None:
    request = Request(0)
    started = [request.recorder.started]
    for at in (0, 10, 20):
        request.sample(A, at)
        started.append(request.recorder.started)
    assert started == [False, False, True, True]
    assert request.brief == [(0, 10, "a"), (1, 20, "a")]


@pytest.mark.parametrize("stack", [A, B])
def test_a_lost_stretch_leaves_exactly_one_number_out(stack: Stack) -> None:
    request = Request()
    request.sample(A, 0)
    request.sample(A, 10)
    request.sample(stack, 200)
    request.sample(stack, 210)
    assert [snapshot.sequence for snapshot in request.snapshots] == [0, 1, 3, 4]
    assert analysed(request.snapshots)[("root",)] == 20


@pytest.mark.parametrize("following", [A, B])
def test_a_stretch_in_which_the_stack_is_known_to_have_held_is_not_lost(following: Stack) -> None:
    request = Request()
    request.sample(A, 0)
    request.sample(B, 10)
    request.recorder.hold(request.clock.start + 200 * MS)
    request.sample(following, 210)
    request.close(220)
    assert gaps(request.snapshots) == []
    assert analysed(request.snapshots)[B] == (210 if following == B else 200)


def test_what_is_held_without_a_sample_adds_nothing() -> None:
    request = Request(0)
    request.recorder.hold(request.clock.start + 200 * MS)
    request.sample(A, 10)
    request.recorder.hold(request.clock.start + 200 * MS)
    assert request.brief == []


def test_two_periods_are_not_lost_yet() -> None:
    request = Request()
    request.sample(A, 0)
    request.sample(B, 20)
    request.close(40)
    assert analysed(request.snapshots) == {("root",): 40, A: 20, B: 20}


def test_the_stretch_before_the_end_may_be_lost_too() -> None:
    request = Request()
    request.sample(A, 0)
    request.close(31)
    assert request.brief == [(0, 0, "a")]


def test_a_longer_period_is_no_loss_even_when_it_has_become_shorter_at_the_next_sample() -> None:
    """What counts is the period that was planned when the stretch began."""
    request = Request()
    request.sample(A, 0, 4 * PERIOD)
    request.sample(A, 49, PERIOD)
    assert [snapshot.sequence for snapshot in request.snapshots] == [0, 1]


def test_a_stretch_lost_under_a_short_period_stays_lost_though_the_period_is_longer_now() -> None:
    request = Request()
    request.sample(A, 0, PERIOD)
    request.sample(A, 49, 4 * PERIOD)
    assert [snapshot.sequence for snapshot in request.snapshots] == [0, 2]


def test_an_end_before_the_last_sample_or_without_any_adds_nothing() -> None:
    request = Request()
    request.close(5)
    assert request.snapshots == []
    request.sample(A, 10)
    request.close(9)
    request.close(12)
    assert request.brief == [(0, 10, "a")]


def test_a_run_whose_first_snapshot_was_refused_is_charged_to_no_other() -> None:
    """The queue took the end of A's run and then not the begin of B's: from there to C nobody knows."""
    request = Request(2)
    request.sample(A, 0)
    request.sample(B, 10)
    request.sample(C, 20)
    request.close(30)
    assert analysed(request.snapshots) == {("root",): 20, A: 10, ("root", "b"): 10, C: 10}
    assert gaps(request.snapshots) == [1]


def test_a_refused_snapshot_of_a_run_does_not_lend_its_long_period_to_what_follows() -> None:
    """The period was four times as long until the refused one, and the usual one after it: there much was lost."""
    request = Request(1)
    request.sample(A, 0, 4 * PERIOD)
    request.sample(A, 40, PERIOD)
    request.sample(A, 40 + 10 * LOST_AFTER + 5, PERIOD)
    assert [snapshot.sequence for snapshot in request.snapshots] == [0, 2]


def test_a_refused_first_snapshot_leaves_number_0_to_the_next_one() -> None:
    request = Request(0, 1)
    for at, stack in [(0, A), (10, B), (20, C)]:
        request.sample(stack, at)
    assert request.brief == [(0, 20, "c")]


def test_wherever_the_queue_is_full_no_number_is_torn_and_nobody_is_charged_what_was_not_his() -> None:
    samples: list[Taken] = [(at * PERIOD, stack, PERIOD) for at, stack in enumerate([A, B, B, C, A])]
    for full in product([False, True], repeat=8):
        request = Request(*(number for number, refused in enumerate(full) if refused))
        request.play(samples, 5 * PERIOD)
        numbers = [snapshot.sequence for snapshot in request.snapshots]
        assert numbers[:1] in ([0], []), full
        assert numbers == sorted(set(numbers)), full
        assert set(gaps(request.snapshots)) <= {1}, full
        assert analysed(request.snapshots) <= truth(request.clock, samples, 5 * PERIOD), full


STACKS = st.sampled_from([A, B, C, ("root",), ("root", "a", "c")])
#: Time since the sample before in periods, stack, and the factor by which the period is stretched.
STEPS = st.lists(st.tuples(st.floats(0.2, 3.5), STACKS, st.sampled_from([1, 1, 1, 2, 4])), min_size=1, max_size=30)


def timed(steps: list[tuple[float, Stack, int]]) -> list[Taken]:
    """Samples at absolute times."""
    samples: list[Taken] = []
    now = 0
    for wait, stack, stretch in steps:
        samples.append((now, stack, PERIOD * stretch))
        now += int(wait * PERIOD * stretch)
    return samples


@given(STEPS, st.floats(0.0, 3.0))
@settings(deadline=None, database=None, max_examples=300)
def test_what_the_backend_reckons_is_what_happened(steps: list[tuple[float, Stack, int]], rest: float) -> None:
    samples = timed(steps)
    end = samples[-1][0] + int(rest * PERIOD)
    request = Request()
    request.play(samples, end)
    assert analysed(request.snapshots) == truth(request.clock, samples, end)
    assert gaps(request.snapshots) == [1] * lost(samples)
    assert request.snapshots[0].sequence == 0


@given(STEPS, st.sets(st.integers(0, 60)))
@settings(deadline=None, database=None, max_examples=300)
def test_with_a_full_queue_the_backend_reckons_no_more_than_happened(
    steps: list[tuple[float, Stack, int]], refuse: set[int]
) -> None:
    samples = timed(steps)
    end = samples[-1][0] + PERIOD
    request = Request(*refuse)
    request.play(samples, end)
    assert analysed(request.snapshots) <= truth(request.clock, samples, end)
    assert set(gaps(request.snapshots)) <= {1}
    times = [snapshot.time for snapshot in request.snapshots]
    assert times == sorted(times)
