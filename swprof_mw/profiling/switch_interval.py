"""The interpreter's switch interval, shortened while a request is sampled."""

from __future__ import annotations

import sys


class SwitchInterval:
    """Shortens ``sys.setswitchinterval`` and puts it back.

    A sampler that wakes on time still waits for the GIL, up to the switch interval (5 ms by default) or until the
    running thread blocks: bursts of work shorter than that would be nearly invisible.

    Args:
        milliseconds: the interval while held; 0 leaves the interpreter's own alone.
    """

    def __init__(self, milliseconds: float) -> None:
        self._short = milliseconds / 1000
        self._before: float | None = None
        self._set = 0.0

    def hold(self) -> None:
        """Shorten it, unless it is held already or is as short by itself."""
        if self._before is None and self._short:
            before = sys.getswitchinterval()
            if before > self._short:
                sys.setswitchinterval(self._short)
                # The interpreter rounds to whole microseconds: remember what it made of it.
                self._set = sys.getswitchinterval()
                self._before = before

    def release(self) -> None:
        """Put it back, unless the app has changed it meanwhile."""
        if self._before is not None:
            if sys.getswitchinterval() == self._set:
                sys.setswitchinterval(self._before)
            self._before = None
