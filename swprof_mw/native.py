"""Threads and locks as the interpreter makes them, whatever gevent has put in their place.

gevent's ``patch_all`` swaps the functions of ``_thread`` for its own: identifiers are then no keys of
``sys._current_frames()``, and a "thread" is a greenlet of the app's hub. What watches the app must not be one.
"""

from __future__ import annotations

import _thread
import sys
import time
from collections.abc import Callable
from types import FunctionType
from typing import Any

#: From Python 3.12 on, and the numbers that it has for tools without a purpose of their own.
_monitoring: Any = getattr(sys, "monitoring", None)
_TOOLS = (4, 3)


def _original(module: Any, name: str) -> Callable[..., Any]:
    """The function that ``module`` had before gevent patched it, if gevent did: before or after this import."""
    monkey = sys.modules.get("gevent.monkey")
    found: Callable[..., Any] = monkey.get_original(module.__name__, name) if monkey else getattr(module, name)
    return found


def patched() -> bool:
    """Whether gevent has put greenlets in the place of threads."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


#: The identifier of the native thread that calls, a key of ``sys._current_frames()``.
get_ident: Callable[[], int] = _original(_thread, "get_ident")
#: A new lock, not held. Acquiring it blocks the whole native thread.
allocate_lock: Callable[[], Any] = _original(_thread, "allocate_lock")
_start_new_thread: Callable[..., int] = _original(_thread, "start_new_thread")
#: Sleeps so many seconds, and lets other threads have the GIL meanwhile.
sleep: Callable[[float], None] = _original(time, "sleep")


def start_new_thread(function: Callable[..., object], arguments: tuple[Any, ...]) -> int:
    """Run a function on a new native thread that does not keep the process alive; its identifier is returned.

    Profilers and tracers are not told of what it does, unless tools have taken all numbers that are free for them.

    Raises:
        RuntimeError: the system allows no thread now.
    """
    if _monitoring is None:
        return _start_new_thread(function, arguments)
    return _start_new_thread(_run_unobserved, (function, arguments))


def _run_unobserved(function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    """Run a function as a callback of ``sys.monitoring``, inside of which nothing is told to anyone.

    Those who listen are told of all threads otherwise, and not all can tell them apart: cProfile takes them for one.
    """
    tool = next(filter(_take, _TOOLS), None)
    if tool is None:
        function(*arguments)
        return
    start = _monitoring.events.PY_START
    door = FunctionType(_door.__code__.replace(), {})

    def enter(*_: object) -> None:
        _monitoring.set_local_events(tool, door.__code__, 0)
        _monitoring.register_callback(tool, start, None)
        _monitoring.free_tool_id(tool)
        function(*arguments)

    _monitoring.register_callback(tool, start, enter)
    _monitoring.set_local_events(tool, door.__code__, start)
    door()


def _take(tool: int) -> bool:
    """Whether this number was free; then it is ours."""
    try:
        _monitoring.use_tool_id(tool, "swprof_mw")
    except ValueError:
        return False
    return True


def _door() -> None:
    """What is called, in a copy for each thread, for its callback."""
