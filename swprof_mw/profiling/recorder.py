"""Samples of one request turned into numbered snapshots whose milliseconds are true."""

from __future__ import annotations

from collections.abc import Callable

from swprof_mw.clock import RequestClock
from swprof_mw.records import Snapshot

Stack = tuple[str, ...]

#: Two samples are one period apart, as they should be. So many periods apart, more than two were lost between them.
LOST_AFTER = 3


class SnapshotRecorder:
    """Numbers the snapshots of one request, closes its runs, and leaves a number out where a stretch was lost.

    The backend gives the time between two snapshots with consecutive numbers to what both stacks share. So when the
    stack changes, the previous one is sent once more with the time of the new one: a run of equal stacks then holds
    all of its time. A number is given when a snapshot is kept, so a full queue tears nothing; a stretch that was
    lost for longer than two periods leaves exactly one number out, and its time is given to nobody.

    Args:
        task_id, segment_id: of every snapshot.
        clock: the request's.
        sink: takes a snapshot; False if it could not be kept.
    """

    def __init__(self, task_id: str, segment_id: str, clock: RequestClock, sink: Callable[[Snapshot], bool]) -> None:
        self._task_id = task_id
        self._segment_id = segment_id
        self._clock = clock
        self._sink = sink
        self._sequence = 0
        self._stack: Stack | None = None
        self._time = 0
        self._period = 0

    @property
    def started(self) -> bool:
        """Whether a snapshot was kept."""
        return self._sequence > 0

    def sample(self, stack: Stack, time: int, period: int) -> None:
        """A sample of the request.

        Args:
            stack: code signatures, outermost first.
            time: monotonic ns.
            period: the time until the next sample is due, ns.
        """
        last = self._stack
        if last is not None:
            if self._is_lost(time):
                self._leave_one_out()
            elif last != stack:
                self._keep(last, time)
        if self._keep(stack, time):
            self._stack, self._time, self._period = stack, time, period
        elif self._stack == stack:
            self._period = min(self._period, period)
        else:
            # The run that begins here has no snapshot of its own: its time is not the last one's.
            self._leave_one_out()

    def hold(self, time: int) -> None:
        """The stack of the last sample is known to have held until ``time`` (monotonic ns), however long that was."""
        if self._stack is not None and self._keep(self._stack, time):
            self._time = time

    def close(self, time: int) -> None:
        """The request ended (monotonic ns): its last stack held until then, unless that stretch was lost too."""
        if self._stack is not None and self._time < time and not self._is_lost(time):
            self._keep(self._stack, time)
        self._stack = None

    def _is_lost(self, time: int) -> bool:
        return time - self._time > LOST_AFTER * self._period

    def _leave_one_out(self) -> None:
        """End the run at its last snapshot; the next one is not its neighbour."""
        if self._stack is not None:
            self._sequence += 1
            self._stack = None

    def _keep(self, stack: Stack, time: int) -> bool:
        kept = self._sink(
            Snapshot(self._task_id, self._segment_id, self._clock.milliseconds(time), self._sequence, stack)
        )
        if kept:
            self._sequence += 1
        return kept
