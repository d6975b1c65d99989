"""What the sampler may cost."""

from __future__ import annotations

import time

#: How long the cost is watched before the period changes, ns.
_WINDOW = 500_000_000
_LONGEST = 64
#: Far below its budget, the period goes back: not at the half, where it would swing.
_RELAXED = 0.25


class Budget:
    """Lengthens the sampling period while the sampler's thread uses more than its share of a core.

    Args:
        percent: of one core, the setting ``profile_max_cpu``.

    Attributes:
        stretch: the factor by which periods are lengthened now, from 1.
    """

    def __init__(self, percent: float) -> None:
        self._share = percent / 100
        self.stretch = 1
        self._since = 0
        self._used = 0

    def start(self, now: int) -> None:
        """A pause is over (monotonic ns): it does not count. Called on the sampler's thread."""
        self._since, self._used = now, time.thread_time_ns()

    def watch(self, now: int) -> None:
        """Look at the cost, from time to time. Called on the sampler's thread, after its samples."""
        elapsed = now - self._since
        if elapsed < _WINDOW:
            return
        used = time.thread_time_ns()
        share = (used - self._used) / elapsed
        self._since, self._used = now, used
        if share > self._share:
            self.stretch = min(self.stretch * 2, _LONGEST)
        elif share < self._share * _RELAXED:
            self.stretch = max(self.stretch // 2, 1)
