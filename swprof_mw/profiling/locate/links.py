"""What holds a suspended strand up: which child task, or which worker's future."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Iterable, Iterator
from types import FunctionType, MethodType
from typing import Any

from swprof_mw.profiling.locate.frames import local

#: So far a callback is searched. `wait_for` around `shield` needs five steps: closure, future, its callback, partial,
#: future.
_DEPTH = 5


def leads_to(future: Any, goal: Any) -> bool:
    """Whether the awaited ``future`` is done once ``goal`` (a task, or a future of a worker) is done.

    Either it is that one, or gathers it, or ``goal`` holds it in a callback: so do ``wait``, ``shield``, task groups,
    and futures chained to those of an executor.
    """
    if future is None or goal is None:
        return False
    if future is goal or goal in _children(future):
        return True
    if not (isinstance(future, asyncio.Future) or isinstance(goal, asyncio.Future)):
        # Between threads nothing else leads from one to the other.
        return False
    return _answers(goal, future) or any(
        held is future for callback in _callbacks(goal) for held in _held_by(callback, _DEPTH)
    )


def _answers(task: Any, future: Any) -> bool:
    """Whether the task was made by asgiref's ``async_to_sync`` to set ``future``: its coroutine holds that one only."""
    frame = getattr(task.get_coro(), "cr_frame", None) if isinstance(task, asyncio.Task) else None
    module = sys.modules.get("asgiref.sync")
    if frame is None or module is None or frame.f_code is not module.AsyncToSync.main_wrap.__code__:
        return False
    return local(frame, "call_result") is future


def hosted_by(child: Any, parent: Any) -> bool:
    """Whether the task ``child`` is one of a task group that the task ``parent`` cannot leave before it is done."""
    return any(_host(held) is parent for callback in _callbacks(child) for held in _held_by(callback, _DEPTH))


def _children(future: Any) -> Iterable[Any]:
    """The futures that a ``gather`` waits for, or that a thread waits for in ``concurrent.futures.wait``."""
    found = future if isinstance(future, list | tuple | set | frozenset) else getattr(future, "_children", ())
    return found if isinstance(found, list | tuple | set | frozenset) else ()


def _callbacks(future: Any) -> Iterator[Any]:
    """The callbacks of an asyncio future (pairs with a Context) or of one of ``concurrent.futures``."""
    for entry in tuple(getattr(future, "_callbacks", None) or getattr(future, "_done_callbacks", None) or ()):
        yield entry[0] if isinstance(entry, tuple) else entry


def _held_by(held: Any, depth: int) -> Iterator[Any]:
    """What a callback holds: a closure's cells, a method's object, a partial's arguments, a future's own callbacks."""
    yield held
    if depth == 0:
        return
    inner: Iterable[Any] = ()
    if isinstance(held, FunctionType):
        inner = _cells(held)
    elif isinstance(held, MethodType):
        inner = (held.__self__, held.__func__)
    elif isinstance(held, functools.partial):
        inner = (held.func, *held.args, *held.keywords.values())
    elif isinstance(held, asyncio.Future):
        inner = _callbacks(held)
    elif isinstance(held, asyncio.Queue):
        inner = tuple(getattr(held, "_getters", ()))
    elif type(held).__name__ == "_AsCompletedIterator":
        inner = (getattr(held, "_done", None),)
    elif _host(held) is not None:
        inner = (getattr(held, "_on_completed_fut", None),)
    for part in inner:
        yield from _held_by(part, depth - 1)


def _cells(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not set yet
            continue


def _host(group: Any) -> Any:
    """The task that a task group belongs to, of asyncio's or of anyio's kind; None for anything else."""
    scope = getattr(group, "cancel_scope", None) if _is_anyio_group(group) else None
    if scope is not None:
        return getattr(scope, "_host_task", None)
    return getattr(group, "_parent_task", None)


def _is_anyio_group(group: Any) -> bool:
    backend = sys.modules.get("anyio._backends._asyncio")
    return backend is not None and isinstance(group, backend.TaskGroup)
