"""Times of one request: one reading of the wall clock, then monotonic differences."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Nanoseconds of a clock that never jumps.
monotonic_ns: Callable[[], int] = time.monotonic_ns
#: Nanoseconds since the epoch.
wall_ns: Callable[[], int] = time.time_ns

NS_PER_MS = 1_000_000


class RequestClock:
    """The clock of one request, so that its span and its snapshots agree however the wall clock jumps.

    Attributes:
        start: monotonic ns at the request's begin.
    """

    def __init__(self) -> None:
        self.start = monotonic_ns()
        self._wall = wall_ns()

    def milliseconds(self, monotonic: int) -> int:
        """A monotonic time (ns) as ms since the epoch, rounded down: the same rounding for every time of a request."""
        return (self._wall + monotonic - self.start) // NS_PER_MS
