"""Everything that is to be told and asked, and who is to be told. Importing this imports grpc: for the loop only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from swprof_mw import native
from swprof_mw.failures import guarded
from swprof_mw.reporter.channel import Connection, Refused, Unavailable, Untrusted
from swprof_mw.reporter.jobs import Instance, Job, of_instance
from swprof_mw.reporter.outbox import Outbox
from swprof_mw.reporter.protocol import Call
from swprof_mw.reporter.queues import of_queues
from swprof_mw.reporter.records import Finish, Segment, Snapshot
from swprof_mw.reporter.troubles import Troubles

if TYPE_CHECKING:
    from swprof_mw.config import Config

#: Turns do not follow each other faster, seconds.
_SHORTEST_WAIT = 0.02


class Agenda:
    """The jobs of the loop, each done when it is due, over one connection.

    Args:
        config: the process-wide settings.
        outboxes: segments, snapshots and finish reports.
        calling: held during each call.
        seconds_left: until the end; None while there is none in sight.

    Attributes:
        calls: how many were begun.
    """

    def __init__(
        self,
        config: Config,
        outboxes: tuple[Outbox[Segment], Outbox[Snapshot], Outbox[Finish]],
        calling: Any,
        seconds_left: Callable[[], float | None],
    ) -> None:
        self.calls = 0
        self._config = config
        self._calling = calling
        self._seconds_left = seconds_left
        self._connection = Connection(config)
        self._troubles = Troubles()
        self._instances: list[Instance] = []
        self._queues = of_queues(*outboxes)
        self._jobs: list[Job] = list(self._queues)

    @property
    def last_error(self) -> str:
        """What the last failed call said; empty if none has failed."""
        return self._connection.last_error

    @property
    def wait(self) -> float:
        """Seconds until something is due, queues apart with less than goes in one call."""
        few = [queue for queue in self._queues if not queue.overdue]
        due = min((job.wait for job in self._jobs if job not in few), default=float("inf"))
        return max(due, self._connection.wait, _SHORTEST_WAIT)

    def welcome(self, instance: Instance) -> None:
        """Take on an instance, before the queues: the backend should know it by the time its segments come."""
        self._instances.append(instance)
        config = self._config
        self._jobs[:0] = of_instance(instance, config.heartbeat_period, config.profile_task_query_interval)

    def turn(self) -> None:
        """Do what is due; if the backend turns out not to be there, once more at each other address."""
        for instance in self._instances:
            _process(instance)
        self._troubles.settle()
        for _ in range(self._connection.choices):
            if self._connection.wait or not self._attend():
                return

    def drain(self) -> None:
        """Send what is queued, in the seconds left: at each address once, and at a single one twice."""
        snapshots = self._queues[1]
        snapshots.one_by_one = not _threads_start()
        for _ in range(max(self._connection.choices, 2)):
            lost = any(len(queue.outbox) and self._attempt(queue) for queue in self._queues)
            if not lost:
                return

    def cancel(self) -> None:
        """End the call in progress. For other threads."""
        self._connection.cancel()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _attend(self) -> bool:
        """Do what is due. True if the connection was lost over it."""
        for job in tuple(self._jobs):
            if self._seconds_left() is not None:
                return False
            if not job.wait and self._attempt(job):
                # Whatever that job met, the others come first the next time.
                self._jobs.remove(job)
                self._jobs.append(job)
                return True
        self._connection.move_on()
        return False

    @guarded("reporting")
    def _attempt(self, job: Job) -> bool:
        """Do this job. True if the connection was lost over it."""
        address, method = self._connection.address, job.call.method
        job.pause.failed()  # however it fails; taken back where the job is not at fault
        try:
            job.run(partial(self._call, job.patience))
        except Refused as refused:
            self._troubles.refused(job, method, address, refused.code, str(refused))
            return False
        except Unavailable as failure:
            if failure.timed_out:
                job.timeouts += 1
                job.pause.failed()  # from now on: the others may need as long as it took
            else:
                job.pause.succeeded()
            self._note(job, address, failure)
            return True
        job.timeouts = 0
        job.pause.succeeded()
        self._troubles.over(job, method, address)
        return False

    def _note(self, job: Job, address: str, failure: Unavailable) -> None:
        if isinstance(failure, Untrusted):
            self._troubles.untrusted(job, address, str(failure))
        else:
            self._troubles.unavailable(job, address, str(failure))

    def _call(self, patience: float, call: Call, request: Any) -> Any:
        left = self._seconds_left()
        with self._calling:
            self.calls += 1
            return self._connection.call(call, request, patience if left is None else min(left, patience))


@guarded("carrying out profile tasks")
def _process(instance: Instance) -> None:
    instance.process_tasks()


def _threads_start() -> bool:
    """Whether a thread can be started: not when the interpreter is about to end, from 3.12 on."""
    try:
        native.start_new_thread(lambda: None, ())
    except RuntimeError:
        return False
    return True
