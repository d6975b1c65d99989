"""What requests do at one moment: where each one is, whether it works, and since when that has been so."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from swprof_mw.clock import monotonic_ns
from swprof_mw.failures import guarded
from swprof_mw.native import get_ident
from swprof_mw.profiling.activity import WAITS, WORKED, Activity, Doing, held_up
from swprof_mw.profiling.clocks import ThreadClocks
from swprof_mw.profiling.locate.locator import Locator
from swprof_mw.profiling.locate.look import Look, Sample
from swprof_mw.profiling.locate.strand import ON_THREAD
from swprof_mw.profiling.stacks import Stacks

if TYPE_CHECKING:
    from swprof_mw.profiling.locate.place import Place
    from swprof_mw.profiling.profiler import SegmentProfiler

#: Of a profiler. Done for each look, most of which have nothing else to do.
_DUE, _PERIOD = attrgetter("due"), attrgetter("period")


class Observation(NamedTuple):
    """What was seen of one request.

    Attributes:
        profiler: of the request.
        stack: code signatures, outermost first; None if it was found nowhere.
        since: monotonic ns from which on the stack is true: when the sample was due, mostly, or ``time``.
        time: monotonic ns when it was seen.
    """

    profiler: SegmentProfiler
    stack: tuple[str, ...] | None
    since: int
    time: int


class Observer:
    """Looks at the requests that hold a slot. Used by the sampler's thread, ``watch`` and ``unwatch`` apart.

    Args:
        stacks: what turns samples into stacks.
        mark_waiting: whether it is to be found out who waits.
    """

    def __init__(self, stacks: Stacks, mark_waiting: bool) -> None:
        self._stacks = stacks
        self._mark_waiting = mark_waiting
        self._clocks = ThreadClocks()
        self._activity = Activity(self._clocks)
        self._locator = Locator(self._clocks)
        self._ran: set[SegmentProfiler] = set()

    def watch(self, place: Place) -> None:
        """A task matched a request, which is on the calling thread: note what only that thread can tell."""
        self._clocks.note(get_ident())
        self._locator.watch(place)

    def unwatch(self, place: Place) -> None:
        """The request has ended."""
        self._locator.unwatch(place)

    @guarded("forgetting what was sampled")
    def forget(self) -> None:
        """Drop what is remembered. Called while nothing is sampled."""
        self._locator.forget_ended()
        self._activity.forget()
        self._clocks.forget()
        self._stacks.forget()
        self._ran.clear()

    @guarded("warming up")
    def warm_up(self) -> None:
        """Look once, at nobody: what is found out only once shall not hold up a request's first sample."""
        self._locator.look()
        self._activity.look((), 0)
        self.forget()

    def glance(self, live: Iterable[SegmentProfiler]) -> None:
        """Note who works, a moment before a look is due."""
        if self._mark_waiting:
            runs = self._locator.runs_in_task
            self._ran = {profiler for profiler in live if profiler.span.task is not None and runs(profiler.span)}
            self._activity.glance(profiler.span.thread_id for profiler in self._ran)

    def observe(self, due: Collection[SegmentProfiler]) -> list[Observation]:
        """Look at these requests. What they do, and their texts, are found out only when all were seen."""
        was_due = max(map(_DUE, due))
        late = monotonic_ns() - was_due
        seen: list[tuple[SegmentProfiler, int, Sample | None]] = []
        look = self._locator.look()
        try:
            for profiler in due:
                sample = self._locate(look, profiler)
                seen.append((profiler, monotonic_ns(), sample))
        finally:
            # Its frames are the app's, with all their variables: not a moment longer than needed.
            del look
        # Not before: it reads a file, and lets others have the GIL.
        still = late > min(map(_PERIOD, due)) and self._activity.stood_still(was_due)
        doing = self._activity.look(self._threads(seen), late)
        found = [self._judge(*each, doing, late, still) for each in seen]
        self._ran = set()
        return found

    @guarded("finding a request")
    def _locate(self, look: Look, profiler: SegmentProfiler) -> Sample | None:
        """Where a request is. What goes wrong with one takes no sample from the others."""
        return look.locate(profiler.span)

    def _threads(self, seen: list[tuple[SegmentProfiler, int, Sample | None]]) -> set[int]:
        """The threads whose clocks tell what was seen: those that requests are on, or just were."""
        if not self._mark_waiting:
            return set()
        found = {sample.thread_id for _, _, sample in seen if sample is not None and sample.state is ON_THREAD}
        return found.union(profiler.span.thread_id for profiler in self._ran) if self._ran else found

    def _judge(
        self,
        profiler: SegmentProfiler,
        time: int,
        sample: Sample | None,
        doing: dict[int, Doing],
        late: int,
        still: bool,
    ) -> Observation:
        due = profiler.due
        # The sampler waited for the GIL, mostly: what is seen now is what was there then.
        since = due if still or time - due <= profiler.period else time
        if sample is None:
            return Observation(profiler, None, since, time)
        if sample.state is ON_THREAD:
            does = doing.get(sample.thread_id)
        else:
            # A task that ran at the glance, and whose loop went on working while the look was held up.
            ran = profiler in self._ran and held_up(late)
            worked = ran and doing.get(profiler.span.thread_id, WAITS) is not WAITS
            does = WORKED if worked else None
        return Observation(profiler, self._stacks.of(profiler, sample, does, due), since, time)
