"""Stacks read out of frames and of what coroutines await. Places in code only: no frame outlives the reading."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from inspect import CO_OPTIMIZED, CO_VARARGS
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any

from swprof_mw.native import get_ident

Position = tuple[CodeType, int]

#: Whether all readers of a frame's variables share one dict; later each has a view of its own.
_SHARED = sys.version_info < (3, 13)
#: A tracer's or profiler's function is given so many: a frame, an event and what belongs to that.
_HOOK_ARGUMENTS = 3

#: Links of a chain of awaits; a longer one is a loop or not worth showing.
_LONGEST_CHAIN = 5_000


def inward(top: FrameType | None, end: FrameType) -> list[Position] | None:
    """The positions inside of the frame ``end``, outermost first, on the thread whose innermost frame is ``top``.

    None if ``end`` is not on that thread's stack: compared by identity, so a torn reading is never another's stack.
    """
    found: list[Position] = []
    frame = top
    while frame is not None:
        if frame is end:
            found.reverse()
            return found
        found.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return None


def look_again(threads: dict[int, FrameType]) -> None:
    """Put the innermost frame that each thread has now into ``threads``; the calling thread's stays as it is."""
    found = sys._current_frames()
    try:
        found.pop(get_ident(), None)
        threads.update(found)
    finally:
        # The circle from this very frame, which is among them, and back would keep all their variables alive.
        found.clear()


def positions_of(top: FrameType) -> list[Position]:
    """The positions of a whole stack whose innermost frame is ``top``, outermost first."""
    found: list[Position] = []
    frame: FrameType | None = top
    while frame is not None:
        found.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    found.reverse()
    return found


def positions_while(thread_id: int, runs: Callable[[], bool]) -> list[Position] | None:
    """The positions of a thread's stack, if what ``runs`` tells was true when they were found; else None.

    Torn, the stack might be another request's. So ``runs`` is asked after it was taken, and it has to be there still.
    """
    top = sys._current_frames().get(thread_id)
    if top is None or not runs() or sys._current_frames().get(thread_id) is not top:
        return None
    return positions_of(top)


def awaiting(coroutine: Any, after: FrameType | None = None) -> tuple[list[Position], FrameType | None] | None:
    """Where a suspended coroutine is, and what it awaits in turn.

    Args:
        coroutine: a coroutine, generator or asynchronous generator.
        after: leave out all up to this frame, itself included; None for nothing.

    Returns:
        The positions, outermost first, and the innermost frame; None if ``after`` is not part of the chain.
    """
    found: list[Position] = []
    innermost = None
    met = after is None
    link = coroutine
    for _ in range(_LONGEST_CHAIN):
        if link is None:
            break
        frame, following = _link(link)
        if frame is not None:
            innermost = frame
            if met:
                found.append((frame.f_code, frame.f_lasti))
            elif frame is after:
                met = True
        link = following
    return (found, innermost) if met else None


def _link(link: Any) -> tuple[FrameType | None, Any]:
    """The frame of one link in a chain of awaits, and the next link."""
    if isinstance(link, CoroutineType):
        return link.cr_frame, link.cr_await
    if isinstance(link, AsyncGeneratorType):
        return link.ag_frame, link.ag_await
    if isinstance(link, GeneratorType):
        return link.gi_frame, link.gi_yieldfrom
    return None, _hidden(link)


def _hidden(link: Any) -> Any:
    """What an ``async_generator_asend``, ``coroutine_wrapper`` or ``anext_awaitable`` wraps: they tell nobody else."""
    if type(link).__module__ != "builtins":
        return None
    kinds = (CoroutineType, AsyncGeneratorType, GeneratorType)
    return next((inner for inner in gc.get_referents(link) if isinstance(inner, kinds) or _is_wrapper(inner)), None)


def _is_wrapper(link: Any) -> bool:
    return type(link).__name__ in ("async_generator_asend", "async_generator_athrow", "coroutine_wrapper")


def local(frame: FrameType, name: str) -> Any:
    """A local variable of another thread's frame; None if there is none of that name.

    Up to 3.12 the dict of the reading stays on the frame and keeps its variables alive as long as that: it is for
    functions that only do one thing. A frame that is being traced is left alone there, its debugger may hold the dict.
    """
    return frame.f_locals.get(name) if _is_readable(frame) else None


def passing(frame: FrameType, name: str, inside: FrameType | None) -> Any:
    """As ``local``, for a function that goes from one thing to the next: what it has let go is not kept alive.

    Args:
        frame: where the variable is.
        name: the variable's.
        inside: the frame that ``frame`` has called, if any.
    """
    value = local(frame, name)
    # When a tracer's or profiler's function returns, the interpreter sets all variables out of this very dict.
    if _SHARED and _is_readable(frame) and not _watches(inside, frame):
        frame.f_locals.clear()
    return value


def _is_readable(frame: FrameType) -> bool:
    # Only of a function: the variables of a module or a class body are its namespace itself.
    return bool(frame.f_code.co_flags & CO_OPTIMIZED) and not (_SHARED and frame.f_trace is not None)


def _watches(inside: FrameType | None, frame: FrameType) -> bool:
    """Whether ``inside`` is a tracer's or profiler's function that was called with ``frame``."""
    if inside is None or (inside.f_code.co_argcount < _HOOK_ARGUMENTS and not inside.f_code.co_flags & CO_VARARGS):
        return False
    given = inside.f_locals.values() if _is_readable(inside) else [frame]
    return any(value is frame or (type(value) is tuple and any(each is frame for each in value)) for value in given)
