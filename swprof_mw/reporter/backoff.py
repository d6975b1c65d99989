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

    def failed(self) -> None:
        """It failed: pause, longer than the last time."""
        self._pause = min(max(self._pause * 2, self._first), self._longest)
        self._until = monotonic_ns() + int(self._pause * (0.5 + self._jitter() / 2) * _NS)

    def succeeded(self) -> None:
        """It worked: no pause, and the next failure's is the first one again."""
        self._pause = 0.0
        self._until = 0
