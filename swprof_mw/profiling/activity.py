"""Whether a thread works or waits, by its own processor clock."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable

from swprof_mw.clock import monotonic_ns

#: A thread that used less than this share of the time since the last look did nothing but wait; with more than
#: `_ALL`, nothing but work. In between it is watched for a moment.
_NOTHING = 0.02
_ALL = 0.98
#: How long a thread is watched, seconds. With the GIL wanted by others it becomes up to the switch interval more.
_MOMENT = 0.000_1
#: The share of that moment from which on a thread was working.
_WORKING = 0.25


class Activity:
    """Tells working threads from waiting ones. A thread that waits for the GIL, or for a processor, waits.

    The clock of the thread itself says how much it worked since the last look. Where that is neither nothing nor
    all, work and waiting alternate faster than we look: then the clock is read once more, a moment later, and the
    thread works now if it moved on. Used by one thread, `note` apart.
    """

    def __init__(self) -> None:
        self._clocks: dict[int, int] = {}
        self._last: dict[int, tuple[int, int]] = {}

    def note(self, thread_id: int) -> None:
        """Note the clock of the calling thread, whose identifier this is: only for itself may a thread ask."""
        if hasattr(time, "pthread_getcpuclockid"):
            self._clocks[thread_id] = time.pthread_getcpuclockid(thread_id)

    def look(self, thread_ids: Iterable[int]) -> dict[int, bool]:
        """Whether each of these threads works right now; those whose clock cannot be read are left out."""
        found: dict[int, bool] = {}
        undecided: dict[int, tuple[int, int]] = {}
        for thread_id in thread_ids:
            now, used = monotonic_ns(), self._read(thread_id)
            if used is None:
                continue
            before = self._last.get(thread_id)
            self._last[thread_id] = (now, used)
            share = (used - before[1]) / max(now - before[0], 1) if before else 0.5
            if _NOTHING <= share <= _ALL:
                undecided[thread_id] = (now, used)
            else:
                found[thread_id] = share > _ALL
        if undecided:
            time.sleep(_MOMENT)
            for thread_id, (now, used) in undecided.items():
                later = self._read(thread_id)
                found[thread_id] = later is not None and later - used > _WORKING * (monotonic_ns() - now)
        return found

    def forget(self) -> None:
        """Drop what is remembered. Called while nothing is sampled."""
        self._last.clear()
        self._clocks.clear()

    def _read(self, thread_id: int) -> int | None:
        """Processor time that a thread has used, ns; None where it has no clock that we know, or has ended."""
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


def _clock_of(thread_id: int) -> int | None:
    """The clock of another thread: on Linux it follows from the kernel's id of the thread."""
    thread = threading._active.get(thread_id)  # type: ignore[attr-defined]
    native_id = getattr(thread, "native_id", None)
    return (~native_id << 3) | 6 if native_id and sys.platform == "linux" else None
