"""How the system schedules the sampler's thread: it should run as soon as a sample is due, and know if it did not."""

from __future__ import annotations

import os
import platform
import struct
import sys

from swprof_mw.failures import guarded

#: What the thread asks for, ns; the least that Linux grants.
_SLICE = 100_000
#: The number of the system call ``sched_setattr``, by machine.
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "ppc64le": 355, "s390x": 345}
#: ``struct sched_attr``: size, policy, flags, nice, priority, runtime, deadline, period (sched_setattr(2)).
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")


@guarded("asking for a short time slice")
def ask_for_short_slices() -> bool:
    """Tell the system that the calling thread runs shortly, but wants to run soon; whether it agreed.

    Linux from 6.6 on lets a thread finish its slice, about 3 ms, before one that wakes on the same processor gets its
    turn, unless that one's slice is shorter (6.12 on): a burst of work would be over before the sampler sees it. No
    privilege is needed. Other kernels ignore the slice; on other systems nothing is done.
    """
    if sys.platform != "linux":
        return False
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    import ctypes  # only now: most processes are never sampled

    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, _SLICE, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, attributes, 0) == 0)


class RunDelay:
    """How long the calling thread has been ready to run, but had no processor. Linux tells so. For one thread's use."""

    def __init__(self) -> None:
        self._file = -1

    def read(self) -> int | None:
        """In all since the thread began, ns; None where the system does not tell."""
        if sys.platform != "linux":
            return None
        try:
            if self._file < 0:
                self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
            return int(os.pread(self._file, 100, 0).split()[1])
        except (OSError, ValueError, IndexError):
            return None

    def close(self) -> None:
        """Until the next reading."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
