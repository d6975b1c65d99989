"""What an app and its server see of each other, as one list of events that can be compared.

A case is run twice, with the app alone and with our adapter around it. Both lists have to be equal: all that is
different on purpose is left out here (our context variable, our frames in tracebacks).
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
from collections.abc import Callable
from typing import Any

import swprof_mw
from swprof_mw.profiling.locate.place import current_request
from tests.doubles import wait_until
from tests.recorded import Recorded

OURS = os.path.dirname(swprof_mw.__file__) + os.sep

#: Variables of the app's.
VARIABLES = [contextvars.ContextVar(f"app_{name}", default="unset") for name in "ab"]


class Quit(BaseException):
    """Neither an Exception nor one of Python's own."""


class Mute(Exception):
    """One whose text fails."""

    def __str__(self) -> str:
        raise ValueError("no text")


class Exits(Exception):
    """One whose text ends the process."""

    def __str__(self) -> str:
        raise SystemExit("no text at all")


class Unspeakable(Exception):
    """One of which nothing can be told."""

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(name)


def _chained() -> BaseException:
    error = ValueError("effect")
    error.__cause__, error.__context__ = KeyError("cause"), OSError("context")
    return error


#: Exceptions that apps raise.
RAISED: dict[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError("no"),
    "os": lambda: OSError(32, "broken pipe"),
    "key": lambda: KeyError("missing"),
    "chained": _chained,
    "long": lambda: ValueError("x" * 100_000),
    "surrogate": lambda: ValueError("\udc80"),
    "recursion": lambda: RecursionError("too deep"),
    "memory": MemoryError,
    "mute": Mute,
    "exits": Exits,
    "unspeakable": Unspeakable,
    "stop": lambda: StopIteration(7),
    "exit": lambda: SystemExit(3),
    "interrupt": lambda: KeyboardInterrupt(),
    "generator": lambda: GeneratorExit("by hand"),
    "quit": lambda: Quit("now"),
}


class ThrownIn(OSError):
    """One that a server throws into a coroutine."""


_THROWN_IN = (asyncio.CancelledError, GeneratorExit, ThrownIn)


class Log:
    """What was seen so far, the oldest first.

    Attributes:
        events: tuples, with the app's context variables at that moment.
    """

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def note(self, *event: Any) -> None:
        """Something was seen."""
        self.events.append((*event, variables()))

    def attempt(self, what: str, function: Callable[..., Any], *args: Any) -> tuple[bool, Any]:
        """Note what a call returned or raised, as far as it can be compared; whether it succeeded, and what with."""
        try:
            result = function(*args)
        except BaseException as error:
            self.note(what, "raised", failure(error))
            return False, None
        self.note(what, "returned", result if type(result) in (str, bytes, int) else type(result) is type(None))
        return True, result


def variables() -> dict[str, Any]:
    """The context variables of the calling code, apart from ours: the values of the app's, the names of all others."""
    here = contextvars.copy_context()
    return {var.name: here[var] if var in VARIABLES else "" for var in here if var is not current_request}


def failure(error: BaseException | None) -> Any:
    """All that can be told of an exception: its causes, and the places in its traceback that are not ours."""
    if error is None:
        return None
    told = [object.__getattribute__(error, name) for name in ("args", "__suppress_context__")]
    causes = [failure(object.__getattribute__(error, name)) for name in ("__cause__", "__context__")]
    places = []
    step = object.__getattribute__(error, "__traceback__")
    while step is not None:
        code = step.tb_frame.f_code
        if not code.co_filename.startswith(OURS):
            places.append((os.path.basename(code.co_filename), code.co_name, step.tb_lineno))
        step = step.tb_next
    # Those that are thrown in may lose a part of their traceback, up to Python 3.11.
    return (type(error).__name__, told, causes, [] if type(error) in _THROWN_IN else places)


def handled() -> str:
    """The type of the exception that is being handled where this is called."""
    return type(sys.exc_info()[1]).__name__


def run_task(recorded: Recorded, endpoint: str) -> None:
    """Let a task for ``endpoint`` run in place of the one before, for as many requests as come."""
    stop_task(recorded)
    recorded.profile(endpoint, max_sampling_count=10**9, duration=10**6)


def stop_task(recorded: Recorded) -> None:
    """Let no task run, and nothing be sampled any more."""
    recorded.settle()
    tasks = recorded.service().tasks
    if tasks.current is not None:
        tasks.stop_current_profile_task(tasks.current)


def nothing_is_left(recorded: Recorded) -> None:
    """Check that requests that have ended hold nothing.

    One that ended because its body was dropped may do so a moment later: while the sampler looks at a function, its
    variables outlive it.
    """
    assert current_request.get() is None
    wait_until(lambda: not recorded.agent.sampler.taken, timeout=3.0)
