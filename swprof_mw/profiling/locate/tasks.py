"""Asyncio tasks: which ones belong to a request, and what they do right now."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import time
import weakref
from collections.abc import Iterator
from contextvars import Context
from types import FrameType
from typing import Any

from swprof_mw.clock import monotonic_ns
from swprof_mw.profiling.locate.frames import awaiting, inward, local
from swprof_mw.profiling.locate.links import children, is_over
from swprof_mw.profiling.locate.place import Place, current_request
from swprof_mw.profiling.locate.registry import References, Registry, without
from swprof_mw.profiling.locate.strand import State, Strand

#: New tasks are looked at for so long in one tick, ns, or a tick would take milliseconds; the rest waits for the next
#: one. But for so many at least.
_LOOKING = 300_000
_AT_ONCE = 32
#: Tasks that are gone, or whose requests have ended, are forgotten once there are so many of them.
_GONE = 1_000
#: Of what ``asyncio.sleep(0)`` awaits.
_YIELDS = getattr(getattr(asyncio.tasks, "__sleep0", None), "__code__", None)
#: A loop that is idle wakes a sleeping task within this, seconds.
_WAKES_WITHIN = 0.001


def context_of(task: Any) -> Context | None:
    """The Context that a task runs in."""
    if sys.version_info >= (3, 12):
        found: Context | None = task.get_context()
        return found
    return next((held for held in gc.get_referents(task) if isinstance(held, Context)), None)


def owner_of(task: Any) -> Place | None:
    """The request in whose Context a task was made."""
    context = context_of(task)
    return context.get(current_request) if context is not None else None


def suspended(task: Any, after: FrameType | None = None) -> Strand | None:
    """The strand of a task that is not running, inside of the frame ``after``; None if it holds no such frame."""
    found = awaiting(task.get_coro(), after)
    if found is None:
        return None
    positions, innermost = found
    future, until = task._fut_waiter, _sleeps_until(innermost)
    ready = future is None or is_over(future) or (until is not None and until < time.monotonic())
    yields = innermost is not None and innermost.f_code is _YIELDS
    state = State.QUEUED if ready else State.WAITING
    return Strand(positions, state, waits_on=future, sets=task, until=until, yields=yields)


def _sleeps_until(frame: FrameType | None) -> float | None:
    """When the time of this frame of ``asyncio.sleep`` is over, so that the loop wakes it once it can; else None.

    In seconds of the monotonic clock.
    """
    if frame is None or frame.f_code is not asyncio.sleep.__code__:
        return None
    timer = local(frame, "h")
    # Not by the loop's own time: uvloop's stands still while the loop is busy.
    return timer.when() + _WAKES_WITHIN if timer is not None else None


def awaits_anything(strand: Strand) -> bool:
    """Whether a thread may bring about what a strand awaits: not if that is a time, or tasks."""
    future = strand.waits_on
    if future is None or strand.until is not None or isinstance(future, asyncio.Task):
        return False
    gathered = children(future)
    return not gathered or not all(isinstance(child, asyncio.Task) or child.done() for child in gathered)


def is_running(task: Any) -> bool:
    """Whether the task's coroutine is being executed at this moment."""
    return bool(getattr(task.get_coro(), "cr_running", False))


def is_known_to_be_suspended(task: Any) -> bool:
    """Whether it is not: of a coroutine that is not Python's own that cannot be told."""
    return not getattr(task.get_coro(), "cr_running", True)


def running(tasks: list[Any], place: Place, threads: dict[int, FrameType]) -> Strand | None:
    """The strand of whichever of ``tasks`` runs right now, on its loop's thread; None if none does.

    A task that runs eagerly runs inside of another one: the longest stack holds them all.
    """
    active = [task for task in tasks if is_running(task)]
    if not active:
        return None
    # That of the loop, where it tells: to search a thread that it is not is dear.
    of_loop = getattr(active[0].get_loop(), "_thread_id", None)
    for thread_id in (of_loop or place.thread_id, place.thread_id, *threads):
        found = [strand for task in active if (strand := _running_on(task, thread_id, threads)) is not None]
        if found:
            return max(found, key=lambda strand: len(strand.positions))
    return None


def _running_on(task: Any, thread_id: int, threads: dict[int, FrameType]) -> Strand | None:
    root = task.get_coro().cr_frame
    positions = inward(threads.get(thread_id), root) if root is not None else None
    if positions is None:
        return None
    return Strand([(root.f_code, root.f_lasti), *positions], State.ON_THREAD, thread_id, sets=task)


class Tasks:
    """The tasks of requests, found among all of the process's and remembered.

    A task's request never changes after its first step, so each task is looked at once: a set difference with the
    ones known already leaves the new ones.

    Args:
        registry: all of them.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._known: set[Any] = set()
        self._owned: list[tuple[Any, Place]] = []
        self._crowded = _GONE

    def of(self, place: Place) -> list[Any]:
        """The live tasks made by a request's code, its own first task excepted, in the order of their discovery."""
        self._look(place)
        mine = [reference() for reference, owner in self._owned if owner is place]
        return [task for task in mine if task is not None and not task.done()]

    def has_new(self, place: Place) -> bool:
        """Whether a task runs on the request's loop that was not seen before: it may be the request's."""
        current = _current(place)
        return current is not None and weakref.ref(current) not in self._known

    def runs(self, place: Place) -> bool:
        """Whether one of the request's tasks that are known already is being executed at this moment."""
        return is_running(place.task) or any(
            is_running(task) for reference, owner in self._owned if owner is place and (task := reference()) is not None
        )

    def forget_ended(self) -> None:
        """Keep no request, and no task that is gone. Called while nothing is sampled.

        The tasks of requests that go on are sorted anew when they are looked for: those may have ended by then.
        """
        self._forget_gone(self.registry.references())
        self._known.difference_update(reference for reference, _ in self._owned)
        self._owned.clear()

    def _forget_gone(self, references: References) -> None:
        self._owned = [each for each in self._owned if each[0]() is not None and not each[1].ended]
        self._known &= without(references, set())

    def _look(self, place: Place) -> None:
        self.registry.note(place.loop)
        references = self.registry.references()
        if len(self._known) > 2 * len(references) + _GONE:
            self._forget_gone(references)
        new = without(references, self._known)
        if not new:
            return
        # The one that runs, and those that the request awaits, come first: among thousands, their turn might be late.
        for task in filter(None, (_current(place), *_awaited_by(place.task))):
            reference = weakref.ref(task)
            if reference in new:
                new.discard(reference)
                self._sort(reference, task)
        until = monotonic_ns() + _LOOKING
        for count in range(len(new)):
            if count % _AT_ONCE == _AT_ONCE - 1 and monotonic_ns() > until:
                break
            reference = new.pop()
            self._sort(reference, reference())

    def _sort(self, reference: Any, task: Any) -> None:
        """Note whose task this is, once that is settled."""
        if not isinstance(task, asyncio.Task):  # gone, or somebody's own kind
            self._known.add(reference)
            return
        owner = owner_of(task)
        if owner is not None or _is_settled(task):
            self._known.add(reference)
        if owner is not None and owner.task is not task and not owner.ended:
            self._owned.append((reference, owner))
            if len(self._owned) > self._crowded:
                self._owned = [each for each in self._owned if not each[1].ended]
                self._crowded = max(2 * len(self._owned), _GONE)


def _current(place: Place) -> Any:
    """The task that runs on the request's event loop; None if none does, or it has no loop."""
    return asyncio.current_task(place.loop) if place.loop is not None else None


def _awaited_by(task: Any) -> Iterator[Any]:
    """The tasks that a task awaits, directly or gathered, and those that they await."""
    found = [task]
    for waiting in found:
        future = getattr(waiting, "_fut_waiter", None)
        for child in (future, *children(future)):
            if isinstance(child, asyncio.Task) and child not in found and len(found) < _AT_ONCE:
                found.append(child)
                yield child


def _is_settled(task: Any) -> bool:
    """Whether a task has run its first step: in that one asgiref's ``async_to_sync`` copies the caller's Context."""
    coroutine = task.get_coro()
    return not inspect.iscoroutine(coroutine) or inspect.getcoroutinestate(coroutine) not in (
        inspect.CORO_CREATED,
        inspect.CORO_RUNNING,
    )
