"""The pause after a failure."""

from __future__ import annotations

import random
from collections.abc import Callable

from swprof_mw.clock import monotonic_ns

_NS = 1_000_000_000


class Backoff:
    """A pause that doubles with each failure in a row, up to a longest one, and is over at the first success.

    Args:
        longest: seconds.
        first: seconds.
        jitter: gives a number from 0 to 1. A pause is cut by up to its half, so that agents do not come back together.
    """

    def __init__(self, longest: float, first: float = 0.2, jitter: Callable[[], float] = random.random) -> None:
        self._longest = longest
        self._first = first
        self._jitter = jitter
        self._pause = 0.0
        self._until = 0

    @property
    def wait(self) -> float:
        """Seconds until the pause is over; 0 if there is none."""
        return max(self._until - monotonic_ns(), 0) / _NS if self._until else 0.0

    def failed(self, began: int | None = None) -> None:
        """It failed: pause, longer than the last time.

        Args:
            began: when it was tried, monotonic ns. The pause counts from then, since one who waits for seconds in vain
                has paused already; half of the first pause is left at the least. None: it counts from now.
        """
        self._pause = min(max(self._pause * 2, self._first), self._longest)
        now, part = monotonic_ns(), (0.5 + self._jitter() / 2) * _NS
        since = now if began is None else began
        self._until = max(since + int(self._pause * part), now + int(self._first / 2 * part))

    def succeeded(self) -> None:
        """It worked: no pause, and the next failure's is the first one again."""
        self._pause = 0.0
        self._until = 0
