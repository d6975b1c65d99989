"""Where this package does not run: it says so, and lets all requests pass."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from swprof_mw import log, servers

#: Where the interpreters of a process are told apart: from Python 3.13 on, and before.
_INTERPRETERS = ("_interpreters", "_xxsubinterpreters")
#: What keeps us from running here, as far as that was asked; empty: nothing.
reason = ""


def is_supported() -> bool:
    """Whether we can run in this interpreter. If not, a line in the log says why, the first time."""
    global reason
    told, reason = reason, why_not()
    if reason and not told:
        log.off(reason)
    return not reason


def why_not() -> str:
    """What keeps us from running here; empty if nothing does. Asked for on a thread that handles requests."""
    if sys.implementation.name != "cpython":
        return f"it runs on CPython only, and this is {sys.implementation.name}"
    if _is_free_threaded():
        return "it does not run on free-threaded builds of Python"
    if _is_subinterpreter():
        return "it runs in the main interpreter only, and this is another (mod_wsgi: WSGIApplicationGroup %{GLOBAL})"
    if _is_eventlet():
        return "it does not run under eventlet"
    if not servers.threads_run():
        return "uWSGI lets no threads run; start it with enable-threads"
    return ""


def _is_free_threaded() -> bool:
    """Whether other threads run while one looks at their frames."""
    has_gil = getattr(sys, "_is_gil_enabled", None)
    return "t" in getattr(sys, "abiflags", "") or (has_gil is not None and not has_gil())


def _is_subinterpreter() -> bool:
    """Whether this is another interpreter than the process's first, whose threads and grpc we would share."""
    for name in _INTERPRETERS:
        try:
            module: Any = importlib.import_module(name)
        except ImportError:
            continue
        return bool(module.get_current() != module.get_main())
    return False


def _is_eventlet() -> bool:
    """Whether eventlet has put its greenlets in the place of threads, or runs its hub on this one."""
    patcher, hubs = sys.modules.get("eventlet.patcher"), sys.modules.get("eventlet.hubs")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        return True
    return getattr(getattr(hubs, "_threadlocal", None), "hub", None) is not None
