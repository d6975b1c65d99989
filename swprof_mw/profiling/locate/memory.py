"""What is remembered of a request from one look to the next."""

from __future__ import annotations

import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swprof_mw.profiling.clocks import ThreadClocks
from swprof_mw.profiling.locate.strand import State, Strand

if TYPE_CHECKING:
    from swprof_mw.profiling.locate.look import Sample


@dataclass
class Still:
    """Where a request was found, and by what to tell that it is there still.

    Attributes:
        sample: where it was found.
        threads: identifiers of the threads that it was on, and their processor times, not later than it was found.
        tasks: its tasks, and the futures that they awaited, by weak references.
        until: monotonic seconds when the innermost task's time is over; None if it does not await a time.
    """

    sample: Sample
    threads: list[tuple[int, int]]
    tasks: list[tuple[weakref.ref[Any], weakref.ref[Any]]]
    until: float | None

    def holds(self, clocks: ThreadClocks, used: dict[int, int | None]) -> bool:
        """Whether the request cannot have moved: its threads had no processor, its tasks await what they awaited.

        Args:
            clocks: of threads.
            used: of those that were read a moment ago, what they had used by then.
        """
        if self.until is not None and self.until < time.monotonic():
            return False
        for thread_id, before in self.threads:
            if (used[thread_id] if thread_id in used else clocks.used(thread_id)) != before:
                return False
        for task, awaited in self.tasks:
            future: Any = awaited()
            # Both may be gone.
            if future is None or future.done() or getattr(task(), "_fut_waiter", None) is not future:
                return False
        return True


class Memory:
    """What is remembered of a request.

    Attributes:
        still: where it was found, if it can be told whether it has moved since.
        alone: whether it was found on its own thread, held up by nothing else.
        threads: of workers on its path, when that was searched for the last time.
        left: looks until it is searched among all threads again.
        unresolved: futures, by their id, that nothing was found to work for.
    """

    __slots__ = ("alone", "left", "still", "threads", "unresolved")

    def __init__(self) -> None:
        self.still: Still | None = None
        self.alone = False
        self.threads: set[int] = set()
        self.left = 0
        self.unresolved: set[int] = set()

    def sample(self, clocks: ThreadClocks, used: dict[int, int | None]) -> Sample | None:
        """Where the request is, if it has not moved since it was found there; None if it may have. As `Still.holds`."""
        # What is blocked on its own thread cannot begin anything else.
        if self.still is None or not (self.left or self.alone) or not self.still.holds(clocks, used):
            return None
        self.left -= not self.alone
        return self.still.sample


def still(sample: Sample, strands: list[Strand], threads: dict[int, int | None]) -> Still | None:
    """What is to be remembered of a request whose ``strands``, the innermost last, were found; None if that is nothing.

    Args:
        threads: their processor times, not later than the strands were found; None if one has no clock.
    """
    clocks, tasks = [], []
    for strand in strands:
        if strand.state is State.ON_THREAD:
            used = threads.get(strand.thread_id)
            if used is None:
                return None
            clocks.append((strand.thread_id, used))
        elif strand.state is State.QUEUED or strand.waits_on is None or strand.sets is None:
            return None
        else:
            try:
                tasks.append((weakref.ref(strand.sets), weakref.ref(strand.waits_on)))
            except TypeError:  # a future of somebody's own
                return None
    return Still(sample, clocks, tasks, strands[-1].until)
