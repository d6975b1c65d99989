"""Functions that the interpreter calls at every event, by each of its hooks."""

from __future__ import annotations

import collections
import os
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from tests.style_apps import watched
from tests.style_apps.tool import Tool

#: From Python 3.12 on.
_monitoring: Any = getattr(sys, "monitoring", None)
_SAMPLER = os.path.join("profiling", "sampler.py")
_TOOL_IDS = range(6)
_EXECUTOR = os.path.join("concurrent", "futures", "thread.py")


def _is_of_executor(frame: FrameType) -> bool:
    """Whether this is the function in which an executor's thread works."""
    return frame.f_code.co_name == "run" and frame.f_code.co_filename.endswith(_EXECUTOR)


class Following(Tool):
    """Counts the events of the requests' own functions, with the names of their variables, and the threads."""

    def __init__(self) -> None:
        self.events: collections.Counter[str] = collections.Counter()
        self.threads: set[int] = set()
        self.function: Callable[[FrameType, str, Any], Any] = self.follow

    def follow(self, frame: FrameType, event: str, arg: Any) -> Any:
        """What the interpreter calls."""
        self.threads.add(threading.get_ident())
        if frame.f_code.co_filename != watched.FILE:
            return None
        line, variables = frame.f_lineno - frame.f_code.co_firstlineno, ",".join(sorted(frame.f_locals))
        self.events[f"{event} {frame.f_code.co_name}+{line} {variables}"] += 1
        return self.function

    def recorded(self) -> dict[str, Any]:
        """How often each event was, and on how many threads."""
        return {"threads": len(self.threads), **self.events}


class SysTrace(Following):
    """``sys.settrace``: one thread."""

    name = "sys.settrace"

    def start(self) -> None:
        sys.settrace(self.function)

    def stop(self) -> None:
        sys.settrace(None)

    def is_on(self) -> bool:
        return sys.gettrace() == self.function


class ThreadingTrace(SysTrace):
    """``threading.settrace`` as well: the threads that are started from now on."""

    name = "threading.settrace"

    def start(self) -> None:
        threading.settrace(self.function)
        super().start()

    def stop(self) -> None:
        super().stop()
        threading.settrace(None)

    def is_on(self) -> bool:
        return super().is_on() and threading.gettrace() == self.function


class EveryLine(ThreadingTrace):
    """Follows every line of all code, and takes its time where the executor's threads are.

    Up to Python 3.12 the interpreter then writes the variables of the traced function back, out of the dict that the
    tracer may have looked at: whatever another thread took out of it meanwhile, the function has lost.
    """

    name = "a slow tracer of every line"
    hides_workers = True

    def follow(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line" and _is_of_executor(frame):
            time.sleep(0.015)
        super().follow(frame, event, arg)
        return self.function


class SlowCalls(ThreadingTrace):
    """Follows no line, and takes its time when a function of the executor's threads is called."""

    name = "a slow tracer of calls"

    def follow(self, frame: FrameType, event: str, arg: Any) -> Any:
        if _is_of_executor(frame):
            time.sleep(0.015)
        return super().follow(frame, event, arg)


class AllThreadsTrace(Following):
    """``threading.settrace_all_threads``: the threads that run already, too."""

    name = "threading.settrace_all_threads"
    since = (3, 12)

    def start(self) -> None:
        vars(threading)["settrace_all_threads"](self.function)

    def stop(self) -> None:
        vars(threading)["settrace_all_threads"](None)

    def is_on(self) -> bool:
        return sys.gettrace() == self.function and threading.gettrace() == self.function


class SysProfile(Following):
    """``sys.setprofile`` and ``threading.setprofile``: calls and returns, those of C functions as well."""

    name = "sys.setprofile"

    def start(self) -> None:
        threading.setprofile(self.function)
        sys.setprofile(self.function)

    def stop(self) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def is_on(self) -> bool:
        return sys.getprofile() == self.function and threading.getprofile() == self.function


class SlowProfile(SysProfile):
    """Takes its time where the executor's threads are."""

    name = "a slow profiler"

    def follow(self, frame: FrameType, event: str, arg: Any) -> Any:
        if _is_of_executor(frame):
            time.sleep(0.015)
        return super().follow(frame, event, arg)


class Monitoring(Tool):
    """``sys.monitoring``: events of all threads of the process, whether they are of interest or not."""

    name = "sys.monitoring"
    since = (3, 12)
    _ID = 2
    _EVENTS = ("PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD", "LINE")

    def __init__(self) -> None:
        self.events: collections.Counter[str] = collections.Counter()
        self.saw_our_sampler = False
        self._set = 0

    def start(self) -> None:
        _monitoring.use_tool_id(self._ID, self.name)
        for name in self._EVENTS:
            event = getattr(_monitoring.events, name)
            _monitoring.register_callback(self._ID, event, self._counting(name))
            self._set |= event
        _monitoring.set_events(self._ID, self._set)

    def _counting(self, event: str) -> Callable[..., None]:
        def count(code: CodeType, place: int, *_: object) -> None:
            if code.co_filename == watched.FILE:
                self.events[f"{event} {code.co_name}+{place}"] += 1
            elif code.co_filename.endswith(_SAMPLER) and code.co_name == "_turn":
                self.saw_our_sampler = True

        return count

    def stop(self) -> None:
        _monitoring.set_events(self._ID, 0)
        _monitoring.free_tool_id(self._ID)

    def is_on(self) -> bool:
        return (_monitoring.get_tool(self._ID), _monitoring.get_events(self._ID)) == (self.name, self._set)

    def recorded(self) -> dict[str, Any]:
        free = [tool for tool in _TOOL_IDS if _monitoring.get_tool(tool) is None]
        return {"our sampler": self.saw_our_sampler, "free": free, **self.events}


class AllMonitoring(Monitoring):
    """``sys.monitoring`` with a tool for each number there is: our sampler cannot hide."""

    name = "sys.monitoring by all tools"

    def start(self) -> None:
        for tool in _TOOL_IDS:
            if tool != self._ID:
                _monitoring.use_tool_id(tool, f"tool {tool}")
        super().start()

    def stop(self) -> None:
        super().stop()
        for tool in _TOOL_IDS:
            if tool != self._ID:
                _monitoring.free_tool_id(tool)

    def recorded(self) -> dict[str, Any]:
        return dict(self.events)


TOOLS: tuple[type[Tool], ...] = (
    SysTrace,
    ThreadingTrace,
    EveryLine,
    SlowCalls,
    AllThreadsTrace,
    SysProfile,
    SlowProfile,
    Monitoring,
    AllMonitoring,
)
