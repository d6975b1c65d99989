"""Threads and locks as the interpreter makes them, whatever gevent has put in their place.

gevent's ``patch_all`` swaps the functions of ``_thread`` for its own: identifiers are then no keys of
``sys._current_frames()``, and a "thread" is a greenlet of the app's hub. What watches the app must not be one.
"""

from __future__ import annotations

import _thread
import sys
import time
from collections.abc import Callable
from typing import Any


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
#: Runs a function, with a tuple of arguments, on a new native thread that does not keep the process alive.
start_new_thread: Callable[..., int] = _original(_thread, "start_new_thread")
#: Sleeps so many seconds, and lets other threads have the GIL meanwhile.
sleep: Callable[[float], None] = _original(time, "sleep")
