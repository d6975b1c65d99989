"""What the sampler may cost."""

from __future__ import annotations

import time

from swprof_mw.failures import note
from swprof_mw.log import fields

#: How long the cost is watched before it is judged, ns.
WINDOW = 500_000_000
#: Windows in a row that have to be too dear: a garbage collection of the whole process may hit our thread in one.
PATIENCE = 2
#: What is not used may be used later, up to the share of so long, ns: a request of a second may be dear, and others
#: beside it, if nothing was sampled before. Over ten seconds it is the share that counts.
SAVED = 2_000_000_000
_LONGEST = 256
_STEEPEST = 8
#: The period is halved again if that would leave some of the budget.
_RELAXED = 0.8


class Budget:
    """Lengthens the sampling period while the sampler's thread uses more than its share of a core, and has saved none.

    Args:
        percent: of one core, the setting ``profile_max_cpu``.

    Attributes:
        stretch: the factor by which periods are lengthened now, from 1.
    """

    def __init__(self, percent: float) -> None:
        self._share = percent / 100
        self._saved = self._share * SAVED
        self.stretch = 1
        self._since = 0
        self._used = 0
        self._dear = 0

    def start(self, now: int) -> None:
        """A pause is over (monotonic ns): it makes no cost look small. Called on the sampler's thread."""
        used = time.thread_time_ns()
        self._save(self._share * (now - self._since) - (used - self._used))
        self._since, self._used = now, used

    def watch(self, now: int) -> None:
        """Look at the cost, from time to time. Called on the sampler's thread, after its samples."""
        elapsed = now - self._since
        if elapsed < WINDOW:
            return
        used = time.thread_time_ns()
        share = (used - self._used) / elapsed
        self._since, self._used = now, used
        self._save((self._share - share) * elapsed)
        self._judge(share)

    def _save(self, time_: float) -> None:
        self._saved = min(self._saved + time_, self._share * SAVED)

    def _judge(self, share: float) -> None:
        self._dear = self._dear + 1 if share > self._share else 0
        if self._dear >= PATIENCE and self._saved < 0 and self.stretch < _LONGEST:
            self._dear = 0
            self._saved = 0.0
            self.stretch = min(self.stretch * _times(share / self._share), _LONGEST)
            taken, allowed = share * 100, self._share * 100
            words = "sampling takes %.1f %% of a core, more than %.1f %%: the period is %d times as long now"
            extra = fields("period_stretched", percent=taken, max_percent=allowed, stretch=self.stretch)
            note(words, taken, allowed, self.stretch, extra=extra)
        elif self.stretch > 1 and share * 2 < self._share * _RELAXED:
            self.stretch //= 2


def _times(excess: float) -> int:
    """The factor, a power of two, by which the period is lengthened to make up for so many times the share.

    A very long period is not asked for at once: then there might be no sample any more to judge by.
    """
    factor = 2
    while factor < min(excess, _STEEPEST):
        factor *= 2
    return factor
