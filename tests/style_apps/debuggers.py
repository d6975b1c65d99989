"""Debuggers that stop in the requests: the standard library's, told what to do beforehand."""

from __future__ import annotations

import bdb
import inspect
import io
import pdb
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from tests.style_apps import watched
from tests.style_apps.tool import Tool

#: Somebody thinks, and the request is sampled where it stands.
_WAIT = '!__import__("time").sleep(0.05)'


def first_line(function: Callable[..., object]) -> int:
    """The number of a function's ``def`` line."""
    return inspect.getsourcelines(function)[1]


def last_line(function: Callable[..., object]) -> int:
    """The number of a function's last line."""
    lines, first = inspect.getsourcelines(function)
    return first + len(lines) - 1


class Stops(bdb.Bdb):
    """Writes down where it stops and what it finds there, and goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def user_line(self, frame: FrameType) -> None:
        """It has stopped."""
        if frame.f_code.co_filename == watched.FILE:
            variables = {name: value for name, value in frame.f_locals.items() if isinstance(value, int)}
            self.found.append(f"{frame.f_code.co_name}+{frame.f_lineno - frame.f_code.co_firstlineno} {variables}")
        self.set_continue()


class Bdb(Tool):
    """A debugger with a breakpoint that all three places of the requests pass, in each of their rounds."""

    name = "bdb"

    def __init__(self) -> None:
        self._debugger = Stops()

    def start(self) -> None:
        self._debugger.set_break(watched.FILE, last_line(watched.own_compute))
        self._debugger.reset()
        threading.settrace(self._debugger.trace_dispatch)
        sys.settrace(self._debugger.trace_dispatch)

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)
        self._debugger.clear_all_breaks()

    def is_on(self) -> bool:
        return sys.gettrace() == self._debugger.trace_dispatch

    def recorded(self) -> dict[str, Any]:
        return {"stops": self._debugger.found}


class Pdb(Tool):
    """Somebody who stops in a request, looks around for a while, changes a variable and goes on."""

    name = "pdb"
    _COMMANDS = (
        "p number, total",
        _WAIT,
        "up",
        "p sorted(locals())",
        _WAIT,
        "down",
        "!total = total + 1000",
        "next",
        "p number, total",
        "continue",
    )

    def __init__(self) -> None:
        self._transcript = io.StringIO()
        commands = "\n".join(["continue", *self._COMMANDS, ""])
        self._debugger = pdb.Pdb(stdin=io.StringIO(commands), stdout=self._transcript, nosigint=True, readrc=False)

    def start(self) -> None:
        self._debugger.set_break(watched.FILE, first_line(watched.own_compute) + 4, temporary=True)
        # One that is never reached keeps it at work.
        self._debugger.set_break(watched.FILE, last_line(watched.own_never))
        self._debugger.reset()
        sys.settrace(self._debugger.trace_dispatch)

    def stop(self) -> None:
        sys.settrace(None)
        self._debugger.clear_all_breaks()

    def is_on(self) -> bool:
        return sys.gettrace() == self._debugger.trace_dispatch

    def recorded(self) -> dict[str, Any]:
        # Its very first stop is in whatever starts the request.
        _, _, transcript = self._transcript.getvalue().partition(watched.FILE)
        return {"transcript": transcript.splitlines()}


class PdbInWorker(Tool):
    """``breakpoint()`` on a worker thread: from there to the functions of the executor, and back."""

    name = "breakpoint() on a worker"
    hides_workers = True
    _COMMANDS = (
        "p total",
        _WAIT,
        "up",
        "p self.future.running()",
        _WAIT,
        "up",
        "p work_item.future.running()",
        _WAIT,
        "up",
        "p self.is_alive()",
        _WAIT,
        "down",
        "down",
        "down",
        "return",
        "next",
        "p result",
        _WAIT,
        "continue",
    )

    def __init__(self) -> None:
        self._transcript = io.StringIO()
        self._input = io.StringIO("\n".join([*self._COMMANDS, ""]))

    def _stop_here(self) -> None:
        debugger = pdb.Pdb(stdin=self._input, stdout=self._transcript, nosigint=True, readrc=False)
        debugger.set_trace(sys._getframe(1))

    def start(self) -> None:
        sys.breakpointhook = self._stop_here

    def stop(self) -> None:
        sys.breakpointhook = sys.__breakpointhook__

    def is_on(self) -> bool:
        return sys.breakpointhook == self._stop_here

    def recorded(self) -> dict[str, Any]:
        return {"transcript": self._transcript.getvalue().splitlines()}


TOOLS: tuple[type[Tool], ...] = (Bdb, Pdb, PdbInWorker)
