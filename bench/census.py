"""What a process holds: objects by type, threads, files, and what waits in our own queues. Linux only."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import swprof_mw
from swprof_mw import agent

#: Of threads that the interpreter knows nothing of: grpc's, uvloop's.
NATIVE = "native"
_COLLECTIONS = 4
_MB = 1_000_000
#: Of a text, characters.
_LONGEST = 300


@dataclass(frozen=True)
class State:
    """What can be read beside the load, in about a tenth of a millisecond.

    Attributes:
        memory, peak: MB, now and at its highest.
        blocks: of the interpreter's memory: what no collector tracks, texts for example, has one too.
        threads: all of them.
        descriptors: open files.
        slots: requests that hold one.
        held: requests that the sampler has to do with in any way.
        queued: segments, snapshots and finish reports that wait to be sent.
        snapshots: taken so far, those that found the queue full apart.
        lost: of all kinds: found a queue full, or were refused.
    """

    memory: float = 0.0
    peak: float = 0.0
    blocks: int = 0
    threads: int = 0
    descriptors: int = 0
    slots: int = 0
    held: int = 0
    queued: int = 0
    snapshots: int = 0
    lost: int = 0

    @property
    def idle(self) -> bool:
        """Whether no request is sampled, and nothing waits to be sent."""
        return not (self.slots or self.held or self.queued)


@dataclass(frozen=True)
class Census:
    """All there is in a process that rests.

    Attributes:
        types: objects that the garbage collector tracks, by type.
        threads: by the function that they run, ``NATIVE`` apart.
        state: as of any moment.
        troubles: what no one caught, and warnings of ours, by their text.
    """

    types: Mapping[str, int]
    threads: Mapping[str, int]
    state: State
    troubles: Mapping[str, int] = field(default_factory=dict)


def state() -> State:
    """What this process holds now."""
    stats, running = swprof_mw.stats(), agent.current()
    queues = (stats.segments, stats.snapshots, stats.finishes)
    sampler = running.sampler if running is not None else None
    return State(
        memory=_memory("VmRSS"),
        peak=_memory("VmHWM"),
        blocks=sys.getallocatedblocks(),
        threads=len(os.listdir("/proc/self/task")),
        # The one that lists them is gone.
        descriptors=len(os.listdir("/proc/self/fd")) - 1,
        slots=stats.slots_taken,
        held=len(sampler._live) + len(sampler._inbox) + len(sampler._waiting) if sampler is not None else 0,
        queued=sum(queue.queued for queue in queues),
        snapshots=stats.snapshots.queued + stats.snapshots.sent,
        lost=sum(queue.dropped + queue.refused for queue in queues),
    )


def census(troubles: Troubles) -> Census:
    """What is left in this process after garbage collection."""
    for _ in range(_COLLECTIONS):
        gc.collect()
    return Census(_types(), _threads(), state(), troubles.counts())


def _types() -> dict[str, int]:
    return dict(Counter(_name(type(one)) for one in gc.get_objects()))


def _name(kind: type) -> str:
    # Some types have a property of that name.
    module, name = type.__getattribute__(kind, "__module__"), type.__getattribute__(kind, "__qualname__")
    return f"{module}.{name}"


def _threads() -> dict[str, int]:
    found = Counter(_function(frame) for frame in sys._current_frames().values())
    found[NATIVE] = len(os.listdir("/proc/self/task")) - found.total()
    return dict(found)


def _function(frame: FrameType) -> str:
    """What a thread was started for."""
    frames = [frame]
    while frames[-1].f_back is not None:
        frames.append(frames[-1].f_back)
    # Outermost first; a thread of `threading` begins in there.
    own = [one for one in reversed(frames) if one.f_globals.get("__name__") != threading.__name__] or frames
    return f"{own[0].f_globals.get('__name__')}.{own[0].f_code.co_name}"


def _memory(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / _MB for line in lines if line.startswith(what))


class Troubles(logging.Handler):
    """Counts what no one caught, in any thread or event loop of this process, and every warning of ours."""

    def __init__(self) -> None:
        super().__init__()
        self._found: Counter[str] = Counter()

    def watch(self) -> Troubles:
        """Begin; returns itself."""
        sys.unraisablehook = self._unraisable
        threading.excepthook = self._in_thread
        # Every event loop hands there what nobody caught.
        for name in ("swprof_mw", "asyncio"):
            logging.getLogger(name).addHandler(self)
        return self

    def counts(self) -> dict[str, int]:
        """How often, by the text."""
        return dict(self._found)

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line of the log."""
        # asyncio warns of clients that are gone.
        if record.levelno >= (logging.ERROR if record.name == "asyncio" else logging.WARNING):
            error = f" ({_described(record.exc_info[1])})" if record.exc_info else ""
            self._count(f"{record.name}: {record.getMessage()}{error}")

    def _unraisable(self, what: Any) -> None:
        self._count(f"unraisable: {_described(what.exc_value)} in {what.object!r}")

    def _in_thread(self, what: Any) -> None:
        self._count(f"in a thread: {_described(what.exc_value)}")

    def _count(self, text: str) -> None:
        self._found[text[:_LONGEST]] += 1


def _described(error: BaseException | None) -> str:
    """The exception, and where it was raised."""
    places = traceback.extract_tb(error.__traceback__) if error is not None else []
    return f"{error!r}{''.join(f' at {os.path.basename(one.filename)}:{one.lineno}' for one in places[-2:])}"
