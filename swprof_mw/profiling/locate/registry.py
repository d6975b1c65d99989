"""The asyncio tasks of the process, as asyncio itself has them."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Collection
from types import FrameType
from typing import Any

from swprof_mw.profiling.locate.frames import local

#: From here on a thread has its tasks in a list of its own, and asyncio tells those of one loop only, by a copy.
_BY_LOOP = sys.version_info >= (3, 14)
#: Methods inside of which an event loop runs: of the loop itself, or of what has it as ``_loop``.
RUNNERS = (("asyncio.base_events", "BaseEventLoop.run_forever"), ("asyncio.runners", "Runner.run")) if _BY_LOOP else ()
_RETRIES = 4

References = set[Any]
"""Weak references to tasks."""


class Registry:
    """All tasks of the process; from Python 3.14 on those of the event loops that it was told of.

    Attributes:
        is_behind: whether it was told of another one since it was last asked.
    """

    def __init__(self) -> None:
        self._loops: weakref.WeakSet[Any] = weakref.WeakSet()
        self.is_behind = False

    def note(self, loop: Any) -> None:
        """Be told of an event loop; None is none."""
        if _BY_LOOP and loop is not None and loop not in self._loops:
            self._loops.add(loop)
            self.is_behind = True

    def entry(self, frame: FrameType, _: FrameType | None) -> tuple[None, None]:
        """Be told of the event loop that runs inside of this frame, one of `RUNNERS`: by itself that is no work."""
        runner = local(frame, "self")
        self.note(getattr(runner, "_loop", runner))
        return None, None

    def references(self) -> References:
        """References to the tasks there are. They may be asyncio's own: only for reading, and they may change then.

        A task that starts eagerly is not among them until it is suspended: until then it runs inside of its maker.
        """
        if _BY_LOOP:
            self.is_behind = False
            return _copied(tuple(self._loops))
        module = sys.modules.get("asyncio.tasks")
        # Never by truth: an empty WeakSet is false.
        tasks = getattr(module, "_scheduled_tasks", getattr(module, "_all_tasks", None))
        found: References = getattr(tasks, "data", set())
        return found


def without(references: References, known: References) -> References:
    """The ``references`` that are not ``known``, in a set that only the caller holds; none if they change all along."""
    for _ in range(_RETRIES):
        try:
            # Not by a copy of all: with thousands of tasks, that alone takes longer.
            return references - known
        except RuntimeError:  # changed meanwhile
            continue
    return set()


def _copied(loops: Collection[Any]) -> References:
    for _ in range(_RETRIES):
        try:
            return {weakref.ref(task) for loop in loops for task in asyncio.all_tasks(loop)}
        except Exception:  # noqa: BLE001, S112 - of tasks of somebody's own kind, which may change meanwhile or tell less
            continue
    return set()
