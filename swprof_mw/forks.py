"""What a fork of this process must not take along, and what the child must know of it.

grpc does not survive a fork while it runs: its threads stay in the parent, and what the child asks of it may wait for
ever. It does not run while nobody holds any of its objects. So ours are given up before each fork, and a child reports
by other means (``reporter.plain``) if grpc was running all the same: for the app's own use, or because the process was
forked without Python's knowledge, as uWSGI does.
"""

from __future__ import annotations

import os
import sys

from swprof_mw.clock import monotonic_ns
from swprof_mw.native import sleep

#: The names of the threads that grpc's core runs on, as Linux cuts them off, up to the oldest supported version.
_GRPC_THREADS = ("grpc", "event_engine", "lifeguard", "timer_manager", "default-executo", "resolver-execut")
_CORE = "grpc._cython.cygrpc"
_TASKS = "/proc/self/task"
_POLL = 0.000_5
_NS = 1_000_000_000

#: Threads of grpc that were still there when all that we hold of it had been given up.
_others: frozenset[str] = frozenset()
#: The process that looked last; 0 before the first look.
_process = 0
#: Whether grpc ran when this process was last about to fork.
_runs = False
#: Whether it ran in a process that this one was forked from.
_lost = False


def watch() -> None:
    """Note at each fork whether grpc runs. To be called early: hooks run the later, the earlier they were hooked."""
    global _process
    if not _process:
        _process = os.getpid()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=_look, after_in_child=_arrive)


def grpc_is_lost() -> bool:
    """Whether grpc was running in a process that this one was forked from, so that it must not be touched here."""
    global _process, _lost
    watch()
    process = os.getpid()
    if process != _process:  # nobody looked: a fork that Python does not know of
        _process, _lost = process, _lost or _CORE in sys.modules
    return _lost


def grpc_ends(within: float) -> bool:
    """All that we hold of grpc has been given up: wait for its end, at most ``within`` seconds; whether it came.

    Of threads that somebody else has needed before the end is not waited for.
    """
    global _others
    until = monotonic_ns() + int(within * _NS)
    while found := _threads():
        if found & _others:
            return False
        if monotonic_ns() > until:
            _others = found
            return False
        sleep(_POLL)
    _others = frozenset()
    return True


def _threads() -> frozenset[str]:
    """The threads that grpc runs on now, for whomever. Where they cannot be seen, there is one without a number."""
    if _CORE not in sys.modules:
        return frozenset()
    try:
        return frozenset(task for task in os.listdir(_TASKS) if _name(task).startswith(_GRPC_THREADS))
    except OSError:
        return frozenset({""})


def _name(task: str) -> str:
    try:
        with open(f"{_TASKS}/{task}/comm", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:  # it has ended meanwhile
        return ""


def _look() -> None:
    global _runs
    _runs = bool(_threads())


def _arrive() -> None:
    global _process, _lost
    _process, _lost = os.getpid(), _lost or _runs
