"""A strand: one piece of a request's work, on a thread or in a task."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from typing import Any

from swprof_mw.profiling.locate.frames import Position


class State(Enum):
    """ON_THREAD: on a native thread, running or blocked there; the thread's processor clock tells which.

    WAITING: suspended. QUEUED: suspended, though what it awaits is done already: it waits for its event loop.
    """

    ON_THREAD = 0
    WAITING = 1
    QUEUED = 2


#: What is compared at each look: read from the class, a kind takes eight times as long in Python 3.11.
ON_THREAD, QUEUED_UP = State.ON_THREAD, State.QUEUED


@dataclass(eq=False, slots=True)
class Strand:
    """One strand at one moment; itself and no other, however alike.

    Attributes:
        positions: outermost first, all inside of the strand's own entry.
        state: what it does.
        thread_id: the native thread it is on; 0 for a suspended one.
        waits_on: the future it is held up by, if that is known.
        sets: what is done once this strand is: its asyncio task, its greenlet, a worker's future, a thread.
        until: monotonic seconds when the time that it awaits is over for its event loop, if it awaits one.
        yields: whether it awaits nothing, but has let others of its event loop go first.
    """

    positions: list[Position]
    state: State
    thread_id: int = 0
    waits_on: Any = None
    sets: Any = None
    until: float | None = None
    yields: bool = False

    @property
    def works(self) -> bool:
        """Whether it is on a thread and held up by no other strand: it is what the request does now."""
        return self.state is State.ON_THREAD and self.waits_on is None

    @property
    def joins(self) -> bool:
        """Whether it waits for the end of a thread."""
        return isinstance(self.waits_on, threading.Thread)
