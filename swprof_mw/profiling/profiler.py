"""One request that a task matched: from its match to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swprof_mw.clock import NS_PER_MS, RequestClock
from swprof_mw.profiling.locate.place import Place
from swprof_mw.profiling.recorder import SnapshotRecorder
from swprof_mw.profiling.status import ProfileStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from swprof_mw.profiling.execution import ProfileTaskExecutionContext
    from swprof_mw.profiling.signature import CodeSignatures, Position
    from swprof_mw.records import Snapshot


class ProfiledSpan(Place, RequestClock):
    """A request as profiling sees it, and its own clock.

    Attributes:
        profiler: what samples this request, once a task matched it.
    """

    profiler: SegmentProfiler | None = None

    @property
    def segment_id(self) -> str:
        """Unique for this request; its snapshots and its trace segment carry it."""
        raise NotImplementedError


class SegmentProfiler:
    """The profiling of one request.

    The request's own thread only ever says that it ended; everything else is the sampler's thread's business, so
    neither waits for the other.

    Attributes:
        context: the task's run.
        span: the request.
        due: when the next sample is due, monotonic ns: the first one when it takes its slot.
        ended_at: monotonic ns of the request's end, 0 before.
        was_taken: whether it ever held a slot.
        period: between two samples, ns, as the task asks for it.
        shown: the texts of the last stack, how it was marked, and the stack itself.
        worked_at: where it was last seen working, outermost first, and when that was (monotonic ns).
        closed: whether it is sampled no more, or never will be.
        stretched_period: ms between samples where the sampler had to lengthen its period, else 0.
    """

    __slots__ = (
        "_positions",
        "_recorder",
        "_shown",
        "_texts",
        "closed",
        "context",
        "due",
        "ended_at",
        "period",
        "shown",
        "span",
        "started_at",
        "stretched_period",
        "was_taken",
        "worked_at",
    )

    def __init__(self, context: ProfileTaskExecutionContext, span: ProfiledSpan) -> None:
        self.context = context
        self.span = span
        self.due = 0
        self.period = context.task.dump_period * NS_PER_MS
        self.shown: tuple[list[str], str, tuple[str, ...]] = ([], "", ())
        self.started_at = 0
        self.ended_at = 0
        self.was_taken = False
        self.worked_at: tuple[list[Position], int] = ([], 0)
        self.closed = False
        self.stretched_period = 0
        self._recorder: SnapshotRecorder | None = None
        self._positions: list[Position] = []
        self._texts: list[str] = []
        self._shown: list[str] = []

    @property
    def status(self) -> ProfileStatus:
        """How far the profiling of this request is."""
        if self.ended_at or self.closed or self.context.stopped:
            return ProfileStatus.STOPPED
        return ProfileStatus.PROFILING if self.started_at else ProfileStatus.PENDING

    def end(self, at: int) -> None:
        """The request ended (monotonic ns): it gives its slot back here and now."""
        self.ended_at = at
        self.context.release(self)

    # What the sampler's thread calls.

    def start(self, now: int, sink: Callable[[Snapshot], bool]) -> None:
        """Sampling begins (monotonic ns)."""
        self.started_at = now
        self._recorder = SnapshotRecorder(self.context.task.task_id, self.span.segment_id, self.span, sink)

    def texts(self, signatures: CodeSignatures, positions: list[Position]) -> list[str]:
        """The texts of this request's stack, outermost first; the part that did not change is not looked up again."""
        if positions is self._positions:
            return self._shown
        same = 0
        for old, new in zip(self._positions, positions, strict=False):
            # By identity: equal code objects may be of different files.
            if old[0] is not new[0] or old[1] != new[1]:
                break
            same += 1
        self._texts = [*self._texts[:same], *signatures.texts(positions[same:])]
        self._positions = positions
        self._shown = [text for text in self._texts if text]
        return self._shown

    def keep(self, stack: tuple[str, ...], time: int, period: int) -> None:
        """A sample (monotonic ns), and the period (ns) until the next one; the first one kept counts for the task."""
        recorder = self._recorder
        if recorder is not None:
            began = recorder.started
            recorder.sample(stack, time, period)
            if recorder.started and not began:
                self.context.use()
        if period != self.period:
            self.stretched_period = max(self.stretched_period, period // NS_PER_MS)

    def hold(self, time: int) -> None:
        """The last sample is known to have been true until ``time`` (monotonic ns)."""
        if self._recorder is not None:
            self._recorder.hold(time)

    def is_over(self, now: int, longest: int) -> bool:
        """Whether it is to be sampled no more: ended, its task stopped, or sampled for ``longest`` ns."""
        over = self.context.stopped or now >= self.context.end
        return bool(self.ended_at) or over or now - self.started_at >= longest

    def close(self, now: int) -> None:
        """Sampling is over: the last stack holds until the request's end, or until now if it goes on."""
        self.closed = True
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close(self.ended_at or now)
        if recorder is None or not recorder.started:
            self.context.give_back()
