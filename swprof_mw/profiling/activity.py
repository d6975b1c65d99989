"""Whether a thread works or waits, by its own processor clock."""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import Enum

from swprof_mw.clock import monotonic_ns
from swprof_mw.native import sleep
from swprof_mw.profiling.clocks import ThreadClocks
from swprof_mw.profiling.scheduling import RunDelay

#: A thread that used less than this share of a while did nothing but wait in it; with more than ``_ALL``, nothing but
#: work: the sampler itself holds the GIL up for a part of each period.
_NOTHING = 0.02
_ALL = 0.85
#: From the glance until a look is due, a thread that works then has worked this share, if its burst is a longer one.
_MOST = 0.5
#: A look that comes so late, ns, was held up by a thread that had the GIL; on its own it wakes sooner.
_HELD_UP = 150_000
#: A process that used at most this share of a while did hardly anything in it.
_HARDLY = 0.2
#: The sampler's delays are read once in so many looks: a reading lets others have the GIL. Small ones add up meanwhile.
_REFRESH = 50
#: How long a thread is watched where its clock does not tell, seconds, and how often: one that may have the GIL back
#: takes a while to wake.
_MOMENT = 0.000_1
_MOMENTS = 3
#: A thread that moved on by so much in that time was working, ns. One that is blocked does not move on at all.
_PROGRESS = 5_000


class Doing(Enum):
    """What a thread does when a look is due.

    WORKS: it works, where it is found. WAITS: it waits there, for anything: the GIL and a processor as well. WORKED: it
    worked when the look was due, but had the GIL until its burst was over, and is found where it waits.
    """

    WORKS = 0
    WAITS = 1
    WORKED = 2


#: What is compared at each look: read from the class, a kind takes eight times as long in Python 3.11.
WORKS, WAITS, WORKED = Doing.WORKS, Doing.WAITS, Doing.WORKED


#: A monotonic time and the processor time that a thread had used by then, both in ns. One is made at each look.
Reading = tuple[int, int]


class Activity:
    """Tells working threads from waiting ones. A thread that waits for the GIL, or for a processor, waits.

    Each look is prepared by a `glance` right before it. What the thread's clock says of the short while in between is
    mostly clear: it worked all of it, or nothing. Otherwise it is watched for a moment, after the look. It works if it
    moves on.

    Used by one thread.
    """

    def __init__(self, clocks: ThreadClocks) -> None:
        self._clocks = clocks
        self._looks: dict[int, Reading] = {}
        self._glances: dict[int, Reading] = {}
        self._run_delay = RunDelay()
        # The sampler's delays until some look before, and the process's work until the last one, ns.
        self._count = 0
        self._delayed: int | None = None
        self._used: int | None = None

    def glance(self, others: Iterable[int] = ()) -> None:
        """Read the clocks of the threads of the last look, and of ``others``, shortly before the next one."""
        for thread_id in {*self._looks, *others}:
            reading = self._read(thread_id)
            if reading is not None:
                self._glances[thread_id] = reading

    def stood_still(self, due: int) -> bool:
        """Whether a look that was due at ``due`` (monotonic ns), and comes now, far too late, still sees that moment.

        So it is if the sampler was not kept from a processor meanwhile. Then it waited for the GIL, in vain: one call
        into C kept it, and its thread is still there, or the system was stopped. And so it is if the whole process had
        hardly a processor, since other processes are busy. Else the app may have gone on while only the sampler was
        held up.
        """
        late = monotonic_ns() - due
        delayed, now = self._delayed, self._run_delay.read()
        waited = delayed is not None and now is not None and now - delayed <= late // 2
        used = self._used
        return waited or (used is not None and time.process_time_ns() - used <= late * _HARDLY)

    def look(self, thread_ids: Iterable[int], late: int) -> dict[int, Doing]:
        """What each of these threads does; those whose clock cannot be read are left out.

        Args:
            thread_ids: of threads.
            late: ns since the look was due.
        """
        before, glances = self._looks, self._glances
        self._looks, self._glances = {}, {}
        self._used = time.process_time_ns()
        if self._count % _REFRESH == 0:
            self._delayed = self._run_delay.read()
        self._count += 1
        found: dict[int, Doing] = {}
        unclear = []
        for thread_id in thread_ids:
            reading = self._read(thread_id)
            if reading is not None:
                self._looks[thread_id] = reading
                doing = _clear(before.get(thread_id), glances.get(thread_id), reading)
                found[thread_id] = doing or WORKS
                if doing is None:
                    unclear.append(thread_id)
        for thread_id in self._still(unclear) if unclear else ():
            glance = glances.get(thread_id)
            worked = held_up(late) and glance is not None and _share(glance, self._looks[thread_id]) >= _MOST
            found[thread_id] = WORKED if worked else WAITS
        return found

    def forget(self) -> None:
        """Drop what is remembered. Called while nothing is sampled."""
        self._looks.clear()
        self._glances.clear()
        self._run_delay.close()
        self._delayed = self._used = None
        self._count = 0

    def _still(self, thread_ids: Iterable[int]) -> set[int]:
        """Which of these threads do not move on in the next moments."""
        still = set(thread_ids)
        for _ in range(_MOMENTS):
            if not still:
                break
            sleep(_MOMENT)
            still = {thread_id for thread_id in still if not self._moved(thread_id)}
        return still

    def _moved(self, thread_id: int) -> bool:
        """Whether a thread moved on since the look."""
        later = self._read(thread_id)
        return later is not None and later[1] - self._looks[thread_id][1] > _PROGRESS

    def _read(self, thread_id: int) -> Reading | None:
        used = self._clocks.used(thread_id)
        return (monotonic_ns(), used) if used is not None else None


def held_up(late: int) -> bool:
    """Whether a look that came so late, ns, had to wait for the GIL."""
    return late > _HELD_UP


def _share(earlier: Reading, later: Reading) -> float:
    """The share of the time between two readings that was worked."""
    return (later[1] - earlier[1]) / max(later[0] - earlier[0], 1)


def _clear(last: Reading | None, glance: Reading | None, now: Reading) -> Doing | None:
    """What a thread did since the glance, if it did one thing only, and since the last look too if it worked."""
    recent = glance or last
    if recent is None:
        return None
    share = _share(recent, now)
    if share < _NOTHING:
        return WAITS
    return WORKS if share > _ALL and (last is None or _share(last, now) > _ALL) else None
