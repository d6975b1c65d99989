"""What a sample becomes: where a request is shown, and whether it is said to wait."""

from __future__ import annotations

import asyncio
import sys
import threading
import time

import pytest

from swprof_mw.profiling.activity import Activity, Doing
from swprof_mw.profiling.locate.frames import Position
from swprof_mw.profiling.locate.look import Sample
from swprof_mw.profiling.locate.place import Place
from swprof_mw.profiling.locate.strand import State
from swprof_mw.profiling.observer import Observer
from swprof_mw.profiling.profiler import SegmentProfiler
from swprof_mw.profiling.stacks import QUEUED, WAITING, Stacks
from tests.doubles import MS, PlainSpan, Sampled, wait_until

PERIOD = 10 * MS
THREAD = 7


def computes() -> None:
    """Where a request works."""


def sleeps() -> None:
    """Where it waits."""


def at(function: object) -> list[Position]:
    """A stack that ends in that function."""
    return [(view.__code__, 0), (function.__code__, 0)]  # type: ignore[attr-defined]


def view() -> None:
    """Calls both."""


class Shown:
    """One request, sampled at every period."""

    def __init__(self, mark_waiting: bool = True, max_depth: int = 500) -> None:
        self._stacks = Stacks("short", max_depth, mark_waiting)
        self._profiler = SegmentProfiler(Sampled().context(), PlainSpan("segment"))
        self._due = 0

    def sample(self, positions: list[Position], doing: Doing | None, state: State = State.ON_THREAD) -> str:
        """The function that is shown innermost, and the mark if there is one."""
        self._due += PERIOD
        stack = self._stacks.of(self._profiler, Sample(positions, state, THREAD), doing, self._due)
        assert stack[0] == "/x"
        last = stack[-2:] if stack[-1] in (WAITING, QUEUED) else stack[-1:]
        return " ".join(part.split(": ")[0].rpartition(".")[2] for part in last)

    def skip(self, periods: int) -> None:
        """So long nothing is sampled."""
        self._due += periods * PERIOD


@pytest.mark.parametrize(
    ("state", "doing", "expected"),
    [
        (State.ON_THREAD, Doing.WORKS, "sleeps"),
        (State.ON_THREAD, Doing.WAITS, "sleeps [waiting]"),
        (State.ON_THREAD, None, "sleeps"),
        (State.WAITING, None, "sleeps [waiting]"),
        (State.QUEUED, None, "sleeps [queued]"),
    ],
)
def test_a_request_that_does_not_work_is_marked(state: State, doing: Doing | None, expected: str) -> None:
    assert Shown().sample(at(sleeps), doing, state) == expected
    assert Shown(mark_waiting=False).sample(at(sleeps), doing, state) == "sleeps"


def test_a_burst_that_was_over_before_it_was_seen_is_shown_where_the_request_was_last_seen_working() -> None:
    shown = Shown()
    assert shown.sample(at(computes), Doing.WORKS) == "computes"
    assert shown.sample(at(sleeps), Doing.WAITS) == "sleeps [waiting]"
    assert shown.sample(at(sleeps), Doing.WORKED) == "computes"


def test_of_a_task_too() -> None:
    shown = Shown()
    assert shown.sample(at(sleeps), Doing.WORKED, State.WAITING) == "sleeps [waiting]", "it was never seen working"
    shown.sample(at(computes), Doing.WORKS)
    assert shown.sample(at(sleeps), Doing.WORKED, State.WAITING) == "computes"
    assert shown.sample(at(sleeps), Doing.WORKED, State.QUEUED) == "computes"


def test_but_not_where_it_worked_long_ago() -> None:
    shown = Shown()
    shown.sample(at(computes), Doing.WORKS)
    shown.sample(at(sleeps), Doing.WAITS)
    shown.skip(10)
    assert shown.sample(at(sleeps), Doing.WORKED) == "sleeps"


def test_where_threads_are_found_working_it_worked() -> None:
    """It lost the GIL to the sampler, and does not have it back yet."""
    shown = Shown()
    shown.sample(at(computes), Doing.WORKS)
    shown.sample(at(view), Doing.WORKS)
    assert shown.sample(at(computes), Doing.WORKED) == "computes"


def test_a_place_is_judged_by_what_was_found_there_more_often() -> None:
    shown = Shown()
    for _ in range(3):
        shown.sample(at(computes), Doing.WORKS)
    shown.sample(at(computes), Doing.WAITS)
    shown.sample(at(view), Doing.WORKS)
    assert shown.sample(at(computes), Doing.WORKED) == "computes"


def test_a_mark_comes_on_top_of_the_greatest_depth() -> None:
    deep = [(view.__code__, 0)] * 20 + at(sleeps)[1:]
    assert Shown(max_depth=5).sample(deep, Doing.WAITS) == "sleeps [waiting]"


@pytest.mark.parametrize(("late", "expected"), [(1 * MS, "computes"), (MS // 20, WAITING)])
def test_a_task_that_ran_at_the_glance_and_is_suspended_after_a_look_that_was_held_up_has_worked(
    monkeypatch: pytest.MonkeyPatch, late: int, expected: str
) -> None:
    """Its loop's thread has worked meanwhile, on this task's behalf or, at the end, another's."""
    monkeypatch.setattr(Activity, "look", lambda self, ids, late: dict.fromkeys(ids, Doing.WORKED))
    place = PlainSpan("segment")
    profiler = SegmentProfiler(Sampled().context(), place)
    observer = Observer(Stacks("short", 500, mark_waiting=True), mark_waiting=True)
    running, go = threading.Event(), threading.Event()

    async def request() -> None:
        place.enter_task(sys._getframe(), asyncio.current_task(), asyncio.get_running_loop())
        running.set()
        assert go.wait(20)
        await asyncio.sleep(20)

    thread = threading.Thread(target=lambda: _run(request()))
    thread.start()
    assert running.wait(20)
    observer.glance([profiler])
    go.set()
    wait_until(lambda: _suspended(place))
    now = time.monotonic_ns()
    profiler.worked_at = (at(computes), now)
    monkeypatch.setattr("swprof_mw.profiling.observer.monotonic_ns", lambda: now)
    profiler.due = now - late
    [observed] = observer.observe([profiler])
    place.loop.call_soon_threadsafe(place.task.cancel)
    thread.join()
    assert observed.stack is not None
    assert expected in observed.stack[-1]


def _suspended(place: Place) -> bool:
    return place.task is not None and place.task._fut_waiter is not None


def _run(request: object) -> None:
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(request)  # type: ignore[arg-type]
