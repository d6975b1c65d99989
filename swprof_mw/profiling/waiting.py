"""The requests of a task that wait for its minimum duration before they compete for a slot."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swprof_mw.profiling.profiler import SegmentProfiler

#: So many at the most; further ones are not sampled.
_MOST = 10_000
#: From so many on, those that have ended meanwhile are taken out.
_CROWDED = 1_000


class Waiting:
    """A queue by the times when they are due. Whoever holds it locks it."""

    def __init__(self) -> None:
        self._queue: list[tuple[int, int, SegmentProfiler]] = []
        self._crowded = _CROWDED
        self._order = itertools.count()

    def __len__(self) -> int:
        """How many wait, or have ended meanwhile."""
        return len(self._queue)

    @property
    def due(self) -> int | None:
        """When the first one is, monotonic ns; None if there is none."""
        return self._queue[0][0] if self._queue else None

    def add(self, profiler: SegmentProfiler, due: int) -> bool:
        """Let a request wait until ``due``, monotonic ns. False if too many wait already."""
        if len(self._queue) >= self._crowded:
            self._thin_out()
        if len(self._queue) >= _MOST:
            return False
        heapq.heappush(self._queue, (due, next(self._order), profiler))
        return True

    def take(self, now: int) -> SegmentProfiler | None:
        """One that is due, and waits no more; None if there is none."""
        return heapq.heappop(self._queue)[2] if self._queue and self._queue[0][0] <= now else None

    def _thin_out(self) -> None:
        """Take requests out that have ended. So seldom that each costs a little of it only."""
        self._queue = [entry for entry in self._queue if not entry[2].ended_at]
        heapq.heapify(self._queue)
        self._crowded = min(max(2 * len(self._queue), _CROWDED), _MOST)
