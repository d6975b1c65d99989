"""The interpreter's switch interval, shortened while a request is sampled."""

from __future__ import annotations

import sys

#: The interval around a tick, s. A thread that wakes gets the GIL when another one gives it up, at the latest after the
#: interval: a burst of work that ends in that time is missed, and found waiting instead.
SHARP = 0.000_15


class SwitchInterval:
    """Shortens ``sys.setswitchinterval`` and puts it back. Once the app changes it meanwhile, it is left alone.

    A sampler that wakes on time still waits for the GIL, up to the switch interval (5 ms by default) or until the
    running thread blocks: bursts of work shorter than that would be nearly invisible. It is short while a request is
    sampled, so that the sampler wakes in time, and very short for the moment of a tick itself: all the time would cost
    the app's threads more switches than the sampling is worth.

    Args:
        milliseconds: the interval while held; 0 leaves the interpreter's own alone.
    """

    def __init__(self, milliseconds: float) -> None:
        self._short = milliseconds / 1000
        self._before: float | None = None
        self._set = 0.0

    def hold(self) -> None:
        """Shorten it, unless it is held already or is as short by itself."""
        before = sys.getswitchinterval()
        if self._before is None and self._short and before > self._short:
            self._before = self._set = before
            self._put(self._short)

    def sharpen(self) -> None:
        """A tick is about to come."""
        self._put(min(SHARP, self._short))

    def relax(self) -> None:
        """The tick has come: nobody is to take the GIL in the middle of it."""
        self._put(self._short)

    def release(self) -> None:
        """Put it back."""
        if self._before is not None:
            self._put(self._before)
            self._before = None

    def _put(self, seconds: float) -> None:
        if self._before is None:
            return
        if sys.getswitchinterval() != self._set:
            self._before = None
            return
        sys.setswitchinterval(seconds)
        # The interpreter rounds to whole microseconds: remember what it made of it.
        self._set = sys.getswitchinterval()
