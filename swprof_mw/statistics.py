"""What this process's agent knows of itself: ``swprof_mw.stats()``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swprof_mw import agent

if TYPE_CHECKING:
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
        instance: the instance's name; empty if no agent has been started, and all else is zero then.
        segments, snapshots, finishes: what is sent: requests, stacks of profiled ones, reports that a task has ended.
        late_samples: came more than one period late.
        slots_taken: requests that are sampled now.
        slots_refused: requests that a task matched, but that found no free slot.
        last_error: what the last failed call to the backend said; empty if none has failed.
        tasks: by service, the id of its current profile task; None if it has none.
    """

    instance: str = ""
    segments: Queue = Queue()
    snapshots: Queue = Queue()
    finishes: Queue = Queue()
    late_samples: int = 0
    slots_taken: int = 0
    slots_refused: int = 0
    last_error: str = ""
    tasks: dict[str, str | None] = field(default_factory=dict)


def stats() -> Stats:
    """The numbers of this process as they are now. Any thread may ask, at any time; it costs some microseconds."""
    running = agent.current()
    if running is None:
        return Stats()
    reporter, sampler = running.reporter, running.sampler
    contexts = {service.name: service.tasks.current for service in tuple(running.services.values())}
    return Stats(
        instance=running.instance,
        segments=_queue(reporter.segments),
        snapshots=_queue(reporter.snapshots),
        finishes=_queue(reporter.finishes),
        late_samples=sampler.late,
        slots_taken=len(sampler.taken),
        slots_refused=sampler.refused,
        last_error=reporter.last_error,
        tasks={name: context.task.task_id if context is not None else None for name, context in contexts.items()},
    )


def _queue(outbox: Outbox[Any]) -> Queue:
    return Queue(len(outbox), outbox.sent, outbox.dropped, outbox.refused)
