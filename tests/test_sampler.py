"""The sampling thread: asleep without work, on time with it, and never the end of anything when something fails."""

from __future__ import annotations

import pathlib
import sys
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import pairwise
from types import FrameType

import pytest

from swprof_mw.clock import monotonic_ns
from swprof_mw.profiling import budget
from swprof_mw.profiling.activity import Activity, Doing
from swprof_mw.profiling.locate.locator import Locator
from swprof_mw.profiling.locate.look import Look, Sample
from swprof_mw.profiling.locate.place import Place
from swprof_mw.profiling.observer import Observation, Observer
from swprof_mw.profiling.profiler import ProfiledSpan, SegmentProfiler
from swprof_mw.profiling.sampler import Sampler
from swprof_mw.profiling.stacks import WAITING, Stacks
from swprof_mw.profiling.switch_interval import SHARP, SwitchInterval
from swprof_mw.records import Snapshot
from tests.doubles import MS, Sampled, at_once, begin, burn, end, handle, sampling, wait_until

pytestmark = pytest.mark.alone


def threads() -> int:
    """Threads of samplers."""
    found = 0
    for top in sys._current_frames().values():
        frame: FrameType | None = top
        while frame is not None:
            found += frame.f_code is Sampler._run.__code__
            frame = frame.f_back
    return found


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    wait_until(lambda: threads() == 0)
    yield
    wait_until(lambda: threads() == 0)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often samplers' threads have looked at their work."""
    count = 0
    original = Sampler._turn

    def counted(self: Sampler) -> bool | None:
        nonlocal count
        count += 1
        return original(self)

    monkeypatch.setattr(Sampler, "_turn", counted)
    return lambda: count


def sleeper(seconds: float) -> Callable[[], None]:
    return lambda: time.sleep(seconds)


def recursive(depth: int, seconds: float) -> None:
    if depth:
        recursive(depth - 1, seconds)
    else:
        time.sleep(seconds)


# The thread.


def test_no_thread_is_started_before_a_slot_is_taken() -> None:
    with sampling() as sampled:
        begin(sampled.context(), "/other")
        assert threads() == 0


def test_once_a_task_is_there_the_thread_runs_and_sleeps(turns: Callable[[], int]) -> None:
    """So that the first request that it matches need not wait for a thread to start."""
    with sampling() as sampled:
        sampled.sampler.prepare()
        wait_until(lambda: threads() == 1 and turns())
        time.sleep(0.02)
        before = turns()
        time.sleep(0.05)
        assert turns() == before
        sampled.sampler.prepare()
        handle(sampled.context(), sleeper(0.03))
        sampled.settle()
        assert threads() == 1
        assert sampled.snapshots


def test_one_thread_serves_all_slots() -> None:
    with sampling(max_parallel=8) as sampled:
        context = sampled.context()
        seen: list[int] = []

        def view() -> None:
            time.sleep(0.03)
            seen.append(threads())

        at_once(8, lambda _: handle(context, view))
        assert set(seen) == {1}


def test_while_no_slot_is_taken_the_thread_sleeps(turns: Callable[[], int]) -> None:
    with sampling() as sampled:
        handle(sampled.context(), sleeper(0.03))
        sampled.settle()
        time.sleep(0.02)
        before = turns()
        assert before > 0
        time.sleep(0.15)
        assert turns() == before
        assert threads() == 1


def test_a_request_that_waits_for_its_minimum_duration_costs_no_turns(turns: Callable[[], int]) -> None:
    with sampling() as sampled:
        span = begin(sampled.context(min_duration_threshold=60_000))
        time.sleep(0.1)
        assert turns() <= 3
        end(span)


def test_stopping_ends_the_thread_closes_what_is_sampled_and_takes_no_more() -> None:
    before = sys.getswitchinterval()
    with sampling(switch_interval=0.7) as sampled:
        context = sampled.context()
        span = begin(context)
        span.enter(sys._getframe())
        wait_until(lambda: sampled.snapshots)
        # It is shorter while a sample is about to be taken.
        wait_until(lambda: sys.getswitchinterval() == pytest.approx(0.0007))
        sampled.sampler.stop(5.0)
        wait_until(lambda: threads() == 0)
        assert not sampled.sampler.taken
        assert sys.getswitchinterval() == before
        late = begin(context)
        assert late.profiler is not None
        assert not late.profiler.was_taken
        end(span)
        end(late)


def test_stopping_what_never_began_returns_at_once() -> None:
    sampled = Sampled()
    began = time.monotonic()
    sampled.sampler.stop(30.0)
    assert time.monotonic() - began < 5


# Ticks.


def test_a_sample_comes_at_once_and_then_one_each_period() -> None:
    with sampling() as sampled:
        span = handle(sampled.context(dump_period=20), sleeper(0.4))
        sampled.settle()
        start = span.milliseconds(span.start)
        times = sorted({snapshot.time for snapshot in sampled.of(span)})
        # No more than the clock has ticks (and the first one, and the end); how many less is the machine's affair.
        assert 12 <= len(times) <= (times[-1] - times[0]) / 20 + 3
        assert times[0] - start < 200
        assert all(start <= at for at in times)


def test_requests_of_two_periods_are_sampled_each_at_its_own() -> None:
    with sampling() as sampled:
        fast, slow = sampled.context("/fast", dump_period=10), sampled.context("/slow", dump_period=100)
        spans: dict[int, ProfiledSpan] = {}

        def run(number: int) -> None:
            context, name = ((fast, "/fast"), (slow, "/slow"))[number]
            spans[number] = handle(context, sleeper(0.45), name)

        at_once(2, run)
        sampled.settle()
        assert len(sampled.of(spans[0])) >= 2 * len(sampled.of(spans[1]))
        assert 3 <= len(sampled.of(spans[1])) <= 8


def test_snapshots_lie_between_the_requests_begin_and_its_end() -> None:
    with sampling() as sampled:
        context = sampled.context()
        for _ in range(5):
            span = handle(context, lambda: burn(0.04))
            sampled.settle()
            profiler = span.profiler
            assert profiler is not None
            begin_ms, end_ms = (span.milliseconds(at) for at in (span.start, profiler.ended_at))
            assert all(begin_ms <= snapshot.time <= end_ms for snapshot in sampled.of(span))
            assert sampled.of(span)


def test_a_request_that_no_code_of_runs_has_no_snapshot_and_starts_nothing_wrong() -> None:
    with sampling() as sampled:
        span = begin(sampled.context())
        time.sleep(0.03)
        end(span)
        sampled.settle()
        assert not sampled.snapshots


def test_a_sampler_that_looks_late_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Locator.look

    def slow(self: Locator) -> Look:
        time.sleep(0.045)
        return original(self)

    with sampling() as sampled:
        monkeypatch.setattr(Locator, "look", slow)
        handle(sampled.context(), sleeper(0.25))
        sampled.settle()
        assert sampled.sampler.late > 0


def lasted(sampled: Sampled, function: str) -> int:
    """The ms that a function is shown with."""
    return sum(
        other.time - one.time
        for one, other in pairwise(sampled.snapshots)
        if other.sequence == one.sequence + 1
        and all(any(f".{function}: " in signature for signature in each.stack) for each in (one, other))
    )


def test_a_call_into_c_that_keeps_the_gil_is_shown_with_all_of_its_time() -> None:
    """The sampler can look only when it is over, long after the sample was due; the call is still there to be seen."""
    seconds = 0.0

    def hog() -> None:
        nonlocal seconds
        began = time.monotonic()
        sum(range(25_000_000))
        seconds = time.monotonic() - began

    def view() -> None:
        time.sleep(0.05)
        hog()
        time.sleep(0.05)

    with sampling() as sampled:
        handle(sampled.context(), view)
        sampled.settle()
        assert seconds > 0.08, "this call is long enough to be missed"
        assert lasted(sampled, "hog") == pytest.approx(seconds * 1000, abs=25)
        assert [snapshot.sequence for snapshot in sampled.snapshots] == [*range(len(sampled.snapshots))]


def test_a_sample_that_waited_for_the_gil_counts_from_when_it_was_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or each burst of work would be shown shorter by that wait."""
    original, times = Locator.look, []

    def slow(self: Locator) -> Look:
        until = time.monotonic_ns() + 4 * MS
        while time.monotonic_ns() < until:
            pass
        times.append(time.monotonic_ns())
        return original(self)

    monkeypatch.setattr(Locator, "look", slow)
    with sampling() as sampled:
        span = handle(sampled.context(), sleeper(0.2))
        sampled.settle()
    shown = [snapshot.time for snapshot in sampled.snapshots[1:-1]]
    early = [span.milliseconds(taken) - time for taken, time in zip(times[1:], shown, strict=False)]
    assert len(early) >= 10
    assert sorted(early)[len(early) // 2] >= 3


# What a snapshot holds.


def test_the_first_signature_is_the_endpoint_always() -> None:
    with sampling() as sampled:
        handle(sampled.context(), lambda: recursive(5, 0.05))
        sampled.settle()
        assert {snapshot.stack[0] for snapshot in sampled.snapshots} == {"/x"}
        assert any("recursive" in snapshot.stack[-1] for snapshot in sampled.snapshots)


def deepest(snapshots: list[Snapshot]) -> tuple[str, ...]:
    """The stack taken furthest inside."""
    return max((snapshot.stack for snapshot in snapshots if "recursive" in snapshot.stack[-1]), key=len)


@pytest.mark.parametrize("depth", [3, 10, 40])
def test_a_deep_stack_keeps_its_root_says_how_much_is_missing_and_keeps_the_innermost(depth: int) -> None:
    with sampling(max_depth=depth) as sampled, sampling() as whole:
        handle(sampled.context(), lambda: recursive(60, 0.05))
        handle(whole.context(), lambda: recursive(60, 0.05))
        sampled.settle()
        whole.settle()
    short, full = deepest(sampled.snapshots), deepest(whole.snapshots)
    assert len(short) == depth
    assert short[0] == "/x"
    assert short[1] == f"[{len(full) - 1 - (depth - 2)} frames left out]"
    assert short[2:] == full[-(depth - 2) :]


def test_a_stack_as_deep_as_allowed_is_whole() -> None:
    with sampling() as whole:
        handle(whole.context(), lambda: recursive(20, 0.05))
        whole.settle()
    depth = len(deepest(whole.snapshots))
    with sampling(max_depth=depth) as sampled:
        handle(sampled.context(), lambda: recursive(20, 0.05))
        sampled.settle()
    assert len(deepest(sampled.snapshots)) == depth
    assert not any("left out" in text for text in deepest(sampled.snapshots))


def marked(sampled: Sampled) -> float:
    """The share of a request's time, in percent, in which it is said to wait."""
    waited = total = 0
    for one, other in pairwise(sampled.snapshots):
        if other.sequence == one.sequence + 1:
            total += other.time - one.time
            if one.stack == other.stack and one.stack[-1] == WAITING:
                waited += other.time - one.time
    return 100 * waited / total


def test_a_request_that_sleeps_is_marked_as_waiting_and_one_that_computes_is_not() -> None:
    with sampling(mark_waiting=True) as sleeping:
        handle(sleeping.context(), sleeper(0.15))
        sleeping.settle()
    with sampling(mark_waiting=True) as computing:
        handle(computing.context(), lambda: burn(0.4))
        computing.settle()
    assert marked(sleeping) > 70
    # How much less depends on what else the machine does: a thread that is kept from the processor waits.
    assert marked(computing) < marked(sleeping)


def test_without_marks_there_are_none() -> None:
    with sampling(mark_waiting=False) as sampled:
        handle(sampled.context(), sleeper(0.05))
        sampled.settle()
        assert not any(WAITING in snapshot.stack for snapshot in sampled.snapshots)


def test_frames_are_let_go_before_anything_else_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold all of the app's variables, and what follows takes a while."""
    looks: list[weakref.ref[Look]] = []
    alive: list[Look | None] = []
    look, activity = Locator.look, Activity.look

    def note(found: Look) -> Look:
        looks.append(weakref.ref(found))
        return found

    def noted(self: Locator) -> Look:
        # In no variable here either: this very frame is among those that the look holds.
        return note(look(self))

    def checked(self: Activity, thread_ids: Iterable[int], late: int) -> dict[int, Doing]:
        alive.append(looks[-1]())
        return activity(self, thread_ids, late)

    monkeypatch.setattr(Locator, "look", noted)
    monkeypatch.setattr(Activity, "look", checked)
    with sampling() as sampled:
        handle(sampled.context(), sleeper(0.05))
        sampled.settle()
    assert alive
    assert set(alive) == {None}


# The end of sampling.


def test_a_request_is_sampled_no_longer_than_allowed_and_gives_its_slot_back() -> None:
    with sampling(max_duration=60 * MS, max_parallel=1) as sampled:
        context = sampled.context()
        span = begin(context)
        span.enter(sys._getframe())
        sampled.settle()
        assert not span.ended
        count = len(sampled.snapshots)
        assert count > 0
        other = handle(context, sleeper(0.03))
        sampled.settle()
        assert sampled.of(other)
        assert len(sampled.of(span)) == count
        end(span)


def test_a_task_that_ended_ends_the_sampling_of_its_requests() -> None:
    with sampling() as sampled:
        context = sampled.context()
        span = begin(context)
        span.enter(sys._getframe())
        wait_until(lambda: sampled.snapshots)
        context.stop()
        sampled.settle()
        assert not span.ended
        assert not sampled.sampler.holds(context)
        end(span)


# The switch interval.


def test_the_switch_interval_is_short_while_a_slot_is_taken_and_put_back_after() -> None:
    before = sys.getswitchinterval()
    with sampling(switch_interval=0.7, max_parallel=2) as sampled:
        context = sampled.context()
        first, second = begin(context), begin(context)
        seen = [sys.getswitchinterval()]
        end(first)
        time.sleep(0.02)
        seen.append(sys.getswitchinterval())
        end(second)
        sampled.settle()
        wait_until(lambda: sys.getswitchinterval() == before)
        short, sharp = pytest.approx(0.0007), pytest.approx(SHARP)  # the second one right before a tick
        assert all(interval in (short, sharp) for interval in seen), seen


def test_the_switch_interval_stays_short_for_a_request_that_the_thread_has_not_seen_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It took its slot while the thread was busy closing another one."""
    seen: list[float] = []
    original = Sampler._admit_taken

    def late(self: Sampler, now: int) -> None:
        if self._inbox and len(seen) < 3:
            seen.append(sys.getswitchinterval())
            self.wake()
        else:
            original(self, now)

    monkeypatch.setattr(Sampler, "_admit_taken", late)
    with sampling(switch_interval=0.7) as sampled:
        handle(sampled.context(), sleeper(0.05))
        sampled.settle()
        assert seen == [pytest.approx(0.0007)] * 3
        assert sampled.snapshots


def test_nobody_takes_the_gil_in_the_middle_of_a_look_after_the_very_short_interval_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before: list[float] = []
    looks: list[float] = []
    observe, sharpen = Observer.observe, SwitchInterval.sharpen

    def observed(self: Observer, due: Collection[SegmentProfiler]) -> list[Observation]:
        looks.append(sys.getswitchinterval())
        return observe(self, due)

    def sharpened(self: SwitchInterval) -> None:
        sharpen(self)
        before.append(sys.getswitchinterval())

    monkeypatch.setattr(Observer, "observe", observed)
    monkeypatch.setattr(SwitchInterval, "sharpen", sharpened)
    with sampling(switch_interval=0.7) as sampled:
        handle(sampled.context(), sleeper(0.05))
        sampled.settle()
    assert {*before} == {SHARP}
    assert looks == [pytest.approx(0.0007)] * len(looks) != []


def test_the_intervals_of_the_tick_and_of_a_slot_are_never_set_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each remembers what it set: else one takes the other's for the app's, and it is never put back."""
    locked: list[bool] = []
    with sampling(switch_interval=0.7) as sampled:
        for name in ("hold", "sharpen", "relax", "release"):
            original = getattr(SwitchInterval, name)

            def checked(self: SwitchInterval, original: Callable[[SwitchInterval], None] = original) -> None:
                locked.append(sampled.sampler._lock.locked())
                original(self)

            monkeypatch.setattr(SwitchInterval, name, checked)
        handle(sampled.context(), sleeper(0.05))
        sampled.settle()
    assert len(locked) > 4
    assert all(locked)


def test_what_goes_wrong_with_one_request_takes_no_sample_from_another(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    locate = Look.locate
    with sampling() as sampled:
        context = sampled.context()
        bad = begin(context)

        def failing(self: Look, place: Place) -> Sample | None:
            if place is bad:
                raise LookupError("this one")
            return locate(self, place)

        monkeypatch.setattr(Look, "locate", failing)
        good = handle(context, sleeper(0.1))
        end(bad)
        sampled.settle()
        assert len(sampled.of(good)) > 5
        assert not sampled.of(bad)
    assert "finding a request" in caplog.text


# What it may cost.


def test_above_its_budget_the_period_grows_and_the_profile_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "WINDOW", 30 * MS)
    with sampling(max_cpu=0.001) as sampled:
        span = handle(sampled.context(), sleeper(0.4))
        sampled.settle()
        profiler = span.profiler
        assert profiler is not None
        assert profiler.stretched_period >= 20
        assert profiler.stretched_period % 10 == 0
        times = sorted({snapshot.time for snapshot in sampled.of(span)})
        assert max(other - one for one, other in pairwise(times)) > 20
        # A longer period is no loss: the time until the end is all there.
        assert [snapshot.sequence for snapshot in sampled.of(span)][:3] == [0, 1, 2]


def test_within_its_budget_the_profile_says_nothing_of_periods() -> None:
    with sampling(max_cpu=100.0) as sampled:
        span = handle(sampled.context(), sleeper(0.05))
        sampled.settle()
        assert span.profiler is not None
        assert span.profiler.stretched_period == 0


# When something fails.


def fail_once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[str]:
    """Make a method fail the first time it is called; the result tells whether it did."""
    original = getattr(owner, name)
    failed: list[str] = []

    def method(*args: object) -> object:
        if not failed:
            failed.append(name)
            raise RuntimeError("made up")
        return original(*args)

    monkeypatch.setattr(owner, name, method)
    return failed


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Locator, "look"),
        (Look, "locate"),
        (Locator, "forget_ended"),
        (Activity, "look"),
        (Stacks, "of"),
        (Sampler, "_admit_waiting"),
        (Sampler, "_admit_taken"),
    ],
)
def test_a_failure_of_ours_ends_no_thread_and_gives_slots_back(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    before = sys.getswitchinterval()
    with sampling(max_parallel=1, switch_interval=0.7) as sampled:
        context = sampled.context(max_sampling_count=1)
        failed = fail_once(monkeypatch, owner, name)
        span = begin(context)
        span.enter(sys._getframe())
        wait_until(lambda: failed or sampled.snapshots)
        end(span)
        wait_until(lambda: failed)
        sampled.settle()
        wait_until(lambda: sys.getswitchinterval() == before)
        if not context.exhausted:
            other = handle(context, sleeper(0.05))
            sampled.settle()
            assert sampled.of(other)
        assert threads() == 1
        assert context.is_over(0)


@pytest.mark.parametrize("failing", [{0}, {1}, {1, 2}, {1, 2, 3, 4}])
def test_a_queue_that_fails_ends_no_thread_and_gives_slots_back(failing: set[int]) -> None:
    """It fails again where the request is closed because it failed."""
    calls = 0
    kept: list[Snapshot] = []

    def sink(snapshot: Snapshot) -> bool:
        nonlocal calls
        calls += 1
        if calls - 1 in failing:
            raise RuntimeError("made up")
        kept.append(snapshot)
        return True

    with sampling(max_parallel=1, switch_interval=0.7) as sampled:
        sampled.sampler._sink = sink
        context = sampled.context()
        last = 0
        while calls <= max(failing) + 3:
            last = len(kept)
            handle(context, sleeper(0.03))
            sampled.settle()
        assert threads() == 1
        assert len(kept) > last


def test_a_request_that_cannot_be_closed_gives_its_slot_back_and_keeps_no_other_from_it() -> None:
    with sampling(max_parallel=2) as sampled:
        broken = sampled.context("/broken")
        sound = sampled.context("/sound")

        def refuse() -> None:
            raise RuntimeError("made up")

        broken.give_back = refuse  # type: ignore[method-assign]
        first, second = begin(broken, "/broken"), begin(sound, "/sound")
        end(first)
        end(second)
        sampled.settle()
        assert not sound.exhausted
        assert [sound.reserve() for _ in range(9)] == [True] * 9
        assert threads() == 1


def test_a_path_in_sys_path_that_is_no_text_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [pathlib.Path("/srv/app"), *sys.path])
    with sampling() as sampled:
        handle(sampled.context(), sleeper(0.04))
        sampled.settle()
        assert sampled.snapshots


@pytest.mark.parametrize("changes", [{"min_duration_threshold": 10**17}, {"dump_period": 10**17}])
def test_numbers_beyond_any_sense_end_no_thread(changes: dict[str, int]) -> None:
    with sampling() as sampled:
        wild = begin(sampled.context("/wild", **changes), "/wild")
        wild.enter(sys._getframe())
        time.sleep(0.02)
        span = handle(sampled.context(), sleeper(0.05))
        wait_until(lambda: sampled.of(span))
        end(wild)
        sampled.settle()


def test_requests_that_ended_do_not_keep_others_from_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a long threshold and much traffic, most of those in the queue have ended long ago."""
    monkeypatch.setattr("swprof_mw.profiling.waiting._MOST", 100)
    monkeypatch.setattr("swprof_mw.profiling.waiting._CROWDED", 20)
    with sampling() as sampled:
        context = sampled.context(min_duration_threshold=150)
        for _ in range(1_000):
            end(begin(context))
        span = handle(context, sleeper(0.25))
        sampled.settle()
        assert sampled.of(span)
        assert sampled.sampler.refused == 0


def test_more_waiting_requests_than_can_be_kept_are_refused_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swprof_mw.profiling.waiting._MOST", 100)
    monkeypatch.setattr("swprof_mw.profiling.waiting._CROWDED", 20)
    with sampling() as sampled:
        context = sampled.context(min_duration_threshold=60_000)
        spans = [begin(context) for _ in range(120)]
        assert sampled.sampler.refused == 20
        for span in spans:
            end(span)


def test_no_sample_is_kept_that_was_taken_while_the_request_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request says first that it has ended, and reads the time then: between the two, a sample would be later."""
    with sampling() as sampled:
        span = begin(sampled.context(dump_period=10))
        original = Look.locate

        def locate(self: Look, place: Place) -> Sample | None:
            found = original(self, place)
            if sampled.snapshots:
                place.ended = True
            return found

        monkeypatch.setattr(Look, "locate", locate)
        span.enter(sys._getframe())
        wait_until(lambda: span.ended)
        time.sleep(0.05)
        assert len(sampled.snapshots) == 1
        end(span)


def test_where_no_thread_can_be_started_nothing_is_kept_and_a_later_request_is_sampled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A container's limit on threads refuses it for a while."""
    before = sys.getswitchinterval()

    def refused(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    with sampling(max_parallel=1) as sampled:
        context = sampled.context(max_sampling_count=1)
        with monkeypatch.context() as limited:
            limited.setattr("swprof_mw.profiling.sampler.start_new_thread", refused)
            handle(context, sleeper(0.02))
        assert not sampled.sampler.taken
        assert sys.getswitchinterval() == before
        assert "no thread can be started" in caplog.text
        other = handle(context, sleeper(0.05))
        sampled.settle()
        assert sampled.of(other)


def test_a_request_is_sampled_no_longer_than_its_task_lasts_though_nobody_says_that_it_is_over() -> None:
    with sampling() as sampled:
        context = sampled.context()
        context.end = monotonic_ns() + 50 * MS
        span = handle(context, sleeper(0.2))
        sampled.settle()
        last = sampled.of(span)[-1].time
    assert last <= span.milliseconds(context.end) + 30
