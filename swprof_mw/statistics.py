"""What this process's agent knows of itself: ``swprof_mw.stats()``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swprof_mw import runtime

if TYPE_CHECKING:
    from swprof_mw.agent import Agent
    from swprof_mw.reporter.outbox import Outbox


@dataclass(frozen=True)
class Queue:
    """One kind of things that are sent.

    Attributes:
        queued: wait to be sent now.
        sent: were taken by the backend.
        dropped: found the queue full, or were left when the process ended.
        refused: were refused by the backend as they are, or could not be encoded.
    """

    queued: int = 0
    sent: int = 0
    dropped: int = 0
    refused: int = 0


@dataclass(frozen=True)
class Stats:
    """The numbers of one process since its agent was started.

    Attributes:
        off: why this process can not be profiled at all: its Python, or the way it runs; empty if it can.
        instance: the instance's name; empty if no agent has been started, and all else is zero then.
        backend: the address that is reported to now; empty before the first report.
        last_error: what the last failed call to the backend said; empty if none has failed.
        segments, snapshots, finishes: what is sent: requests, stacks of profiled ones, reports that a task has ended.
        tasks: by service, the id of its current profile task; None if it has none.
        slots_taken: requests that are sampled now.
        slots_refused: requests that a task matched, but that found no free slot.
        waiting: requests that a task matched, and that wait for its minimum duration.
        late_samples: came more than one period late.
        period_stretch: how many times the task's period lies between two samples now, to keep to ``profile_max_cpu``.
    """

    off: str = ""
    instance: str = ""
    backend: str = ""
    last_error: str = ""
    segments: Queue = Queue()
    snapshots: Queue = Queue()
    finishes: Queue = Queue()
    tasks: dict[str, str | None] = field(default_factory=dict)
    slots_taken: int = 0
    slots_refused: int = 0
    waiting: int = 0
    late_samples: int = 0
    period_stretch: int = 1


def stats() -> Stats:
    """The numbers of this process as they are now. Any thread may ask, at any time; it costs some microseconds."""
    module = sys.modules.get("swprof_mw.agent")  # where there is none, it is not imported for this
    running: Agent | None = module.current() if module is not None else None
    if running is None:
        return Stats(off=runtime.reason)
    reporter, sampler = running.reporter, running.sampler
    contexts = {service.name: service.tasks.current for service in tuple(running.services.values())}
    return Stats(
        instance=running.instance,
        backend=reporter.backend,
        last_error=reporter.last_error,
        segments=_queue(reporter.segments),
        snapshots=_queue(reporter.snapshots),
        finishes=_queue(reporter.finishes),
        tasks={name: context.task.task_id if context is not None else None for name, context in contexts.items()},
        slots_taken=len(sampler.taken),
        slots_refused=sampler.refused,
        waiting=sampler.waiting,
        late_samples=sampler.late,
        period_stretch=sampler.stretch,
    )


def _queue(outbox: Outbox[Any]) -> Queue:
    return Queue(len(outbox), outbox.sent, outbox.dropped, outbox.refused)
