"""When samples are due."""

from __future__ import annotations

#: Each tick comes by this share of a period later in its period than the one before, and wraps. Irrational and far
#: from any fraction, so that no rhythm of the app's own (a poll every 10 ms, sampled every 10 ms) is met always in
#: the same phase; small, so that two ticks are never further apart than 1.24 periods.
_SHIFT = 5**0.5 - 2


def next_deadline(now: int, period: int) -> int:
    """The first tick after ``now``, both in monotonic ns; one tick in each period of that length, ns.

    Deadlines follow from the clock alone: they do not drift, and requests sampled at the same period share them.
    """
    index = now // period
    deadline = _deadline(index, period)
    return deadline if deadline > now else _deadline(index + 1, period)


def _deadline(index: int, period: int) -> int:
    return index * period + int(index * _SHIFT % 1 * period)
