"""What holds a suspended strand up: which child task, or which worker's future."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import sys
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from types import FunctionType, MethodType
from typing import Any

from swprof_mw.profiling.locate.frames import local
from swprof_mw.profiling.locate.strand import Strand

#: So far a callback is searched. `wait_for` around `shield` needs five steps: closure, future, its callback, partial,
#: future.
_DEPTH = 5
#: Of a partial's arguments, so many are followed.
_ARGUMENTS = 16
#: In asyncio's own callbacks, from Python 3.14 on, the task that awaits the future: it goes on then, but is not done.
_AWAITED_BY = "cur_task"


#: The ids of futures that are done, and of tasks that may leave a task group.
Ids = tuple[set[int], set[int]]


class Links:
    """Which strand holds up which, at one moment. What each strand sets, once it is done, is followed only once."""

    def __init__(self) -> None:
        # By the strand's id; it is held, so that the id stays its own.
        self._outcomes: dict[int, tuple[Strand, _Outcome]] = {}

    def waits(self, strand: Strand, other: Strand) -> bool:
        """Whether ``strand`` is held up by ``other``: by a future, or by a task group that both belong to.

        The future that ``strand`` awaits is what ``other`` sets, or gathers it, or ``other`` holds it in a callback: so
        do ``wait``, ``shield``, and futures chained to those of an executor.
        """
        return other.sets is not None and self._outcome(other).ends(awaited(strand), id(strand.sets))

    def held_up_by(self, strands: Iterable[Strand], others: Iterable[Strand]) -> list[Strand]:
        """Those of ``others`` that set a future which one of ``strands`` awaits."""
        futures = [future for strand in strands for future in awaited(strand)]
        return [other for other in others if self._sets_one_of(futures, other)] if futures else []

    def _sets_one_of(self, futures: list[int], strand: Strand) -> bool:
        # Most set a future that nobody has hung anything on.
        goal = strand.sets
        return id(goal) in futures or (bool(_has_callbacks(goal)) and self._outcome(strand).ends(futures))

    def _outcome(self, strand: Strand) -> _Outcome:
        known = self._outcomes.get(id(strand))
        if known is None:
            known = self._outcomes[id(strand)] = (strand, _Outcome(strand.sets))
        return known[1]


class _Outcome:
    """All that is done once ``goal`` is, followed no further than it is asked for."""

    def __init__(self, goal: Any) -> None:
        self._futures = {id(goal)}
        self._hosts: set[int] = set()
        self._steps = _follow(goal)

    def ends(self, futures: Collection[int], task: int = 0) -> bool:
        """Whether one of the futures with these ids is done, or the task with this id may leave its group."""
        while self._futures.isdisjoint(futures) and task not in self._hosts:
            found = next(self._steps, None)
            if found is None:
                return False
            self._futures |= found[0]
            self._hosts |= found[1]
        return True


def is_over(future: Any) -> bool:
    """Whether what a task awaits is over, though its event loop may not have got to it yet.

    So it is once the future is done, all that it gathers are, or the one of an executor that it is chained to.
    """
    gathered = children(future)
    return (
        future.done()
        or (bool(gathered) and all(child.done() for child in gathered))
        or any(
            issubclass(type(each), concurrent.futures.Future) and each.done()
            for held in _held_by(_callbacks(future), 1)
            for each in held
        )
    )


def awaited(strand: Strand) -> tuple[int, ...]:
    """The ids of the future that a strand awaits, and of those that this one gathers."""
    future = strand.waits_on
    return (id(future), *map(id, children(future))) if future is not None else ()


def _follow(goal: Any) -> Iterator[Ids]:
    """What hangs on ``goal``, step by step away from it."""
    if isinstance(goal, asyncio.Task):
        yield {id(_answered_by(goal))}, set()
    # Between threads, nothing but the future itself leads from one to the other.
    kinds = (asyncio.Future, concurrent.futures.Future) if isinstance(goal, asyncio.Future) else asyncio.Future
    for held in _held_by(_callbacks(goal), _DEPTH):
        hosts = {id(host) for each in held if (host := _host(each)) is not None}
        yield {id(each) for each in held if issubclass(type(each), kinds)}, hosts


def _answered_by(task: Any) -> Any:
    """The future that a task of asgiref's ``async_to_sync`` was made to set: its coroutine holds that one only."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    module = sys.modules.get("asgiref.sync")
    # Perhaps it is only being imported.
    maker = getattr(module, "AsyncToSync", None)
    if frame is None or maker is None or frame.f_code is not maker.main_wrap.__code__:
        return task
    return local(frame, "call_result")


def children(future: Any) -> Collection[Any]:
    """The futures that a ``gather`` waits for, or that a thread waits for in ``concurrent.futures.wait``."""
    if type(future).__name__ == "_GatheringFuture":
        found: Collection[Any] = future._children
        return found
    return future if isinstance(future, list | tuple | set | frozenset) else ()


def _has_callbacks(future: Any) -> Any:
    """The callbacks of an asyncio future, or of one of ``concurrent.futures``; nothing if there are none."""
    return getattr(future, "_callbacks", None) or getattr(future, "_done_callbacks", None)


def _callbacks(future: Any) -> list[Any]:
    """As callables: an asyncio future has pairs with a Context."""
    found = _has_callbacks(future)
    return [entry[0] if isinstance(entry, tuple) else entry for entry in tuple(found)] if found else []


def _held_by(callbacks: list[Any], depth: int) -> Iterator[list[Any]]:
    """Callbacks; then, so many steps deep, what they hold."""
    held = callbacks
    while held:
        yield held
        held = [part for each in held for part in _parts(each)] if depth else []
        depth -= 1


def _parts(held: Any) -> Iterable[Any]:
    """A closure's cells, a method's object, a partial's arguments, a future's own callbacks."""
    # By its type alone: what the app's callbacks hold may be lazy, and do anything when it is asked.
    kind = type(held)
    if kind is FunctionType:
        return _cells(held)
    if kind is MethodType:
        return (held.__self__, held.__func__)
    if issubclass(kind, asyncio.Future):
        return _callbacks(held)
    if issubclass(kind, functools.partial):
        return (held.func, *held.args[:_ARGUMENTS], *islice(held.keywords.values(), _ARGUMENTS))
    if issubclass(kind, asyncio.Queue):
        return tuple(getattr(held, "_getters", ()))
    if kind.__name__ == "_AsCompletedIterator":
        return (getattr(held, "_done", None),)
    return (getattr(held, "_on_completed_fut", None),) if _host(held) is not None else ()


def _cells(function: FunctionType) -> list[Any]:
    found = []
    is_asyncios = function.__globals__ is vars(asyncio.tasks)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if is_asyncios and name == _AWAITED_BY:
            continue
        try:
            found.append(cell.cell_contents)
        except ValueError:  # not set yet
            continue
    return found


def _host(group: Any) -> Any:
    """The task that a task group belongs to, of asyncio's or of anyio's kind; None for anything else."""
    if type(group).__name__ != "TaskGroup":
        return None
    scope = getattr(group, "cancel_scope", None)
    return getattr(scope, "_host_task", None) or getattr(group, "_parent_task", None)
