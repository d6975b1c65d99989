"""The processor clocks of threads, as another thread can read them."""

from __future__ import annotations

import sys
import threading
import time


class ThreadClocks:
    """How long threads have had a processor. Used by one thread, `note` apart."""

    def __init__(self) -> None:
        self._clocks: dict[int, int] = {}

    def note(self, thread_id: int) -> None:
        """Note the clock of the calling thread, whose identifier this is: only for itself may a thread ask."""
        if hasattr(time, "pthread_getcpuclockid"):
            self._clocks[thread_id] = time.pthread_getcpuclockid(thread_id)

    def used(self, thread_id: int) -> int | None:
        """The processor time of a thread until now, ns; None where it has no clock that we know, or has ended.

        A thread that has used nothing more since was blocked all the time, and is where it was.
        """
        if sys.platform == "win32":  # which has no such clocks
            return None
        clock = self._clocks.get(thread_id)
        if clock is None:
            clock = _clock_of(thread_id)
            if clock is None:
                return None
            self._clocks[thread_id] = clock
        try:
            return time.clock_gettime_ns(clock)
        except OSError:
            self._clocks.pop(thread_id, None)
            return None

    def forget(self) -> None:
        """Drop what is remembered of threads. Called while nothing is sampled."""
        self._clocks.clear()


def _clock_of(thread_id: int) -> int | None:
    """The clock of another thread: on Linux it follows from the kernel's id of the thread."""
    thread = threading._active.get(thread_id)  # type: ignore[attr-defined]
    native_id = getattr(thread, "native_id", None)
    return (~native_id << 3) | 6 if native_id and sys.platform == "linux" else None
