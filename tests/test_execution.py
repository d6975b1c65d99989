"""Which requests a running task samples, how many, and that whatever they took is given back."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import cast

import pytest

from swprof_mw.profiling.execution import ProfileTaskExecutionContext
from swprof_mw.profiling.profiler import ProfiledSpan
from swprof_mw.profiling.sampler import Sampler
from swprof_mw.profiling.status import ProfileStatus
from tests.doubles import (
    MS,
    SECOND,
    FakeClock,
    IdleSampler,
    PlainSpan,
    at_once,
    begin,
    end,
    handle,
    sampling,
    wait_until,
)
from tests.recorded import profile_task

MODULES = ["swprof_mw.clock", "swprof_mw.profiling.execution"]


@pytest.fixture
def hectic() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    return FakeClock(monkeypatch, MODULES)


def running(clock: FakeClock, **changes: object) -> tuple[ProfileTaskExecutionContext, IdleSampler]:
    """A task for ``/x`` that has begun and lasts a minute, with a sampler that does nothing."""
    sampler = IdleSampler()
    task = profile_task("/x", **changes)
    return (
        ProfileTaskExecutionContext(task, cast(Sampler, sampler), clock.now, clock.now + 60 * SECOND),
        sampler,
    )


# Which requests.


def test_a_request_is_sampled_at_once_if_the_task_sets_no_threshold(clock: FakeClock) -> None:
    context, sampler = running(clock)
    span = begin(context)
    assert sampler.taken == [span.profiler]


def test_a_request_of_another_endpoint_costs_nothing(clock: FakeClock) -> None:
    context, sampler = running(clock)
    assert begin(context, "/y").profiler is None
    assert not sampler.taken
    assert not sampler.waiting


def test_a_request_waits_for_the_rest_of_its_minimum_duration(clock: FakeClock) -> None:
    context, sampler = running(clock, min_duration_threshold=300)
    span = PlainSpan("segment")
    clock.advance(0.1)  # the route is known only now
    context.attempt_profiling(span, "/x")
    assert sampler.taken == []
    assert sampler.waiting == [(span.profiler, span.start + 300 * MS)]


def test_a_request_that_already_lasted_long_enough_does_not_wait(clock: FakeClock) -> None:
    context, sampler = running(clock, min_duration_threshold=300)
    span = PlainSpan("segment")
    clock.advance(0.3)
    context.attempt_profiling(span, "/x")
    assert sampler.taken == [span.profiler]


@pytest.mark.parametrize("seconds", [-0.001, 60])
def test_before_and_after_its_time_a_task_samples_nothing(clock: FakeClock, seconds: float) -> None:
    context, _ = running(clock)
    clock.advance(seconds)
    assert begin(context).profiler is None


def test_a_stopped_task_samples_nothing_and_says_so_to_the_sampler(clock: FakeClock) -> None:
    context, sampler = running(clock)
    context.stop()
    assert sampler.woken == 1
    assert begin(context).profiler is None
    assert not context.reserve()


# How many.


def test_a_place_is_used_up_by_a_kept_snapshot_and_returned_without_one(clock: FakeClock) -> None:
    context, _ = running(clock, max_sampling_count=2)
    assert [context.reserve() for _ in range(3)] == [True, True, False]
    context.give_back()
    assert [context.reserve() for _ in range(2)] == [True, False]
    context.use()
    context.use()
    assert context.exhausted
    assert not context.reserve()
    assert begin(context).profiler is None


def test_no_place_is_given_twice_however_many_ask_at_once(clock: FakeClock, hectic: None) -> None:
    for _ in range(20):
        context, _ = running(clock, max_sampling_count=9)
        got: list[bool] = []
        at_once(16, lambda _, context=context, got=got: got.extend(context.reserve() for _ in range(5)))  # type: ignore[misc]
        assert got.count(True) == 9


def test_exactly_as_many_requests_are_sampled_as_asked_for_however_many_race(hectic: None) -> None:
    with sampling(max_parallel=100) as sampled:
        context = sampled.context(max_sampling_count=3)
        at_once(24, lambda _: handle(context, lambda: time.sleep(0.05)))
        sampled.settle()
        assert len(sampled.segments()) == 3
        assert context.exhausted
        assert context.is_over(0)


def test_no_more_slots_are_taken_than_there_are(hectic: None) -> None:
    seen: list[int] = []
    with sampling(max_parallel=2) as sampled:
        context = sampled.context(max_sampling_count=9)

        def view() -> None:
            for _ in range(10):
                seen.append(len(sampled.sampler.taken))
                time.sleep(0.001)

        for _ in range(5):
            at_once(8, lambda _: handle(context, view))
        sampled.settle()
        assert max(seen) == 2
        assert sampled.sampler.refused > 0
        assert 2 <= len(sampled.segments()) <= 9


def test_requests_that_end_before_their_first_snapshot_do_not_count() -> None:
    with sampling(max_parallel=2) as sampled:
        context = sampled.context(max_sampling_count=1)
        for _ in range(100):
            end(begin(context))
        sampled.settle()
        assert not context.exhausted
        slow = handle(context, lambda: time.sleep(0.05))
        sampled.settle()
        assert sampled.segments() == {slow.segment_id}
        assert context.exhausted


def test_requests_whose_snapshots_found_the_queue_full_do_not_count() -> None:
    with sampling() as sampled:
        context = sampled.context(max_sampling_count=1)
        sampled.full = True
        handle(context, lambda: time.sleep(0.04))
        sampled.settle()
        sampled.full = False
        slow = handle(context, lambda: time.sleep(0.04))
        sampled.settle()
        assert sampled.segments() == {slow.segment_id}


def test_a_request_that_found_no_slot_takes_no_place_of_the_count() -> None:
    with sampling(max_parallel=1) as sampled:
        context = sampled.context(max_sampling_count=2)
        first, refused = begin(context), begin(context)
        assert [context.reserve() for _ in range(2)] == [True, False]
        context.give_back()
        end(first)
        end(refused)
        sampled.settle()
        assert [context.reserve() for _ in range(3)] == [True, True, False]


def test_a_slot_is_free_again_with_the_end_of_its_request() -> None:
    with sampling(max_parallel=1) as sampled:
        context = sampled.context()
        first = begin(context)
        refused = begin(context)
        assert first.profiler is not None
        assert refused.profiler is not None
        assert (first.profiler.was_taken, refused.profiler.was_taken) == (True, False)
        end(refused)
        end(first)
        third = begin(context)
        assert third.profiler is not None
        assert third.profiler.was_taken
        end(third)


# Requests that have to last a while first.


def test_a_request_that_ends_within_its_minimum_duration_never_held_a_slot() -> None:
    with sampling() as sampled:
        context = sampled.context(min_duration_threshold=30)
        span = begin(context)
        end(span)
        time.sleep(0.06)
        assert span.profiler is not None
        assert not span.profiler.was_taken
        assert not sampled.sampler.holds(context)


def test_three_slow_requests_among_two_hundred_fast_ones_are_all_profiled() -> None:
    with sampling(max_parallel=3) as sampled:
        # A busy machine makes a fast one slow, too, but hardly as slow as that.
        context = sampled.context(min_duration_threshold=200, max_sampling_count=3)
        slow: list[ProfiledSpan] = []

        def run(number: int) -> None:
            if number < 3:
                slow.append(handle(context, lambda: time.sleep(0.6)))
            else:
                for _ in range(50):
                    handle(context, lambda: time.sleep(0.001))

        at_once(7, run)
        sampled.settle()
        assert sampled.segments() == {span.segment_id for span in slow}
        for span in slow:
            assert sampled.of(span)[0].time - span.milliseconds(span.start) >= 60


def test_a_task_that_stopped_meanwhile_begins_no_waiting_request() -> None:
    with sampling() as sampled:
        context = sampled.context(min_duration_threshold=30)
        span = begin(context)
        context.stop()
        time.sleep(0.06)
        assert span.profiler is not None
        assert not span.profiler.was_taken
        end(span)


# Statuses.


def status(span: ProfiledSpan) -> ProfileStatus:
    assert span.profiler is not None
    return span.profiler.status


def test_a_request_is_pending_then_profiled_then_stopped() -> None:
    with sampling() as sampled:
        context = sampled.context(min_duration_threshold=30)
        span = begin(context)
        span.enter(sys._getframe())
        found = [status(span)]
        wait_until(lambda: sampled.snapshots)
        found.append(status(span))
        end(span)
        found.append(status(span))
    assert found == [ProfileStatus.PENDING, ProfileStatus.PROFILING, ProfileStatus.STOPPED]


def test_a_request_that_found_no_slot_is_stopped_since_it_will_never_be_sampled() -> None:
    with sampling(max_parallel=1) as sampled:
        context = sampled.context()
        first, second = begin(context), begin(context)
        assert status(second) is ProfileStatus.STOPPED
        end(first)
        end(second)


def test_a_request_is_stopped_once_its_task_is() -> None:
    with sampling() as sampled:
        context = sampled.context()
        span = begin(context)
        context.stop()
        assert status(span) is ProfileStatus.STOPPED
        end(span)


def test_a_request_that_was_sampled_long_enough_is_stopped_though_it_goes_on() -> None:
    with sampling(max_duration=20 * MS) as sampled:
        span = begin(sampled.context())
        span.enter(sys._getframe())
        sampled.settle()
        assert status(span) is ProfileStatus.STOPPED
        assert not span.ended
        end(span)
