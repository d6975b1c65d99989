"""Whether a thread works or waits, by its own processor clock."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

from swprof_mw.clock import monotonic_ns
from swprof_mw.native import sleep

#: A thread that used less than this share of the time since the last look did nothing but wait in it; with more than
#: ``_ALL``, nothing but work: the sampler itself holds the GIL up for a part of each period.
_NOTHING = 0.02
_ALL = 0.85
#: Of the short while since a glance, in which the GIL changed hands twice, working takes at least this share.
_MOST = 0.5
#: How long a thread is watched where that does not tell, seconds, and how often: one that may have the GIL back takes a
#: while to wake.
_MOMENT = 0.000_1
_MOMENTS = 3
#: A thread that moved on by so much in that time was working, ns. One that is blocked does not move on at all.
_PROGRESS = 5_000


class Reading(NamedTuple):
    """A thread's processor time ``used`` at a monotonic ``time``, both in ns."""

    time: int
    used: int

    def share(self, later: Reading) -> float:
        """The share of the time until ``later`` that the thread worked."""
        return (later.used - self.used) / max(later.time - self.time, 1)


class Activity:
    """Tells working threads from waiting ones. A thread that waits for the GIL, or for a processor, waits.

    The thread's clock says how much it worked since the last look. Where that is neither nothing nor all, work and
    waiting alternate faster than we look: the next look is then prepared by a `glance` right before it, and where even
    that short while was mixed, the thread is watched for another moment, after the look. It works if it moves on.

    Used by one thread, `note` apart.

    Attributes:
        mixed: whether a thread both worked and waited between the last two looks, so that a glance is worth it.
    """

    def __init__(self) -> None:
        self.mixed = False
        self._clocks: dict[int, int] = {}
        self._looks: dict[int, Reading] = {}
        self._glances: dict[int, Reading] = {}

    def note(self, thread_id: int) -> None:
        """Note the clock of the calling thread, whose identifier this is: only for itself may a thread ask."""
        if hasattr(time, "pthread_getcpuclockid"):
            self._clocks[thread_id] = time.pthread_getcpuclockid(thread_id)

    def glance(self) -> None:
        """Read the clocks of the threads of the last look, shortly before the next one."""
        for thread_id in self._looks:
            reading = self._read(thread_id)
            if reading is not None:
                self._glances[thread_id] = reading

    def look(self, thread_ids: Iterable[int]) -> dict[int, bool]:
        """Whether each of these threads works right now; those whose clock cannot be read are left out."""
        before, glances = self._looks, self._glances
        self._looks, self._glances = {}, {}
        self.mixed = False
        found: dict[int, bool] = {}
        for thread_id in thread_ids:
            reading = self._read(thread_id)
            if reading is not None:
                self._looks[thread_id] = reading
                last, recent = before.get(thread_id), glances.get(thread_id)
                self.mixed |= last is None or _NOTHING <= last.share(reading) <= _ALL
                working = _judge(last, reading, _ALL) if recent is None else _judge(recent, reading, _MOST)
                if working is not None:
                    found[thread_id] = working
        return {**found, **self._watch(self._looks.keys() - found.keys())}

    def forget(self) -> None:
        """Drop what is remembered. Called while nothing is sampled."""
        self._looks.clear()
        self._glances.clear()
        self._clocks.clear()

    def _watch(self, thread_ids: Iterable[int]) -> dict[int, bool]:
        """Whether these threads move on in the next moments."""
        still = dict.fromkeys(thread_ids, False)
        for _ in range(_MOMENTS):
            if all(still.values()):
                break
            sleep(_MOMENT)
            for thread_id in [one for one, moved in still.items() if not moved]:
                later = self._read(thread_id)
                still[thread_id] = later is not None and later.used - self._looks[thread_id].used > _PROGRESS
        return still

    def _read(self, thread_id: int) -> Reading | None:
        """The clock of a thread now; None where it has none that we know, or has ended."""
        clock = self._clocks.get(thread_id)
        if clock is None:
            clock = _clock_of(thread_id)
            if clock is None:
                return None
            self._clocks[thread_id] = clock
        try:
            return Reading(monotonic_ns(), time.clock_gettime_ns(clock))
        except OSError:
            self._clocks.pop(thread_id, None)
            return None


def _judge(before: Reading | None, now: Reading, all_of_it: float) -> bool | None:
    """Whether a thread worked between two readings, at least ``all_of_it``, or waited; None if it did both."""
    share = before.share(now) if before is not None else 0.1
    return None if _NOTHING <= share <= all_of_it else share > all_of_it


def _clock_of(thread_id: int) -> int | None:
    """The clock of another thread: on Linux it follows from the kernel's id of the thread."""
    thread = threading._active.get(thread_id)  # type: ignore[attr-defined]
    native_id = getattr(thread, "native_id", None)
    return (~native_id << 3) | 6 if native_id and sys.platform == "linux" else None
