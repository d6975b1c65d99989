"""Everything that is to be told and asked, and who is to be told. Imports protobuf: for the loop only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from swprof_mw import native
from swprof_mw.failures import guarded
from swprof_mw.records import Ended, Finish, Snapshot
from swprof_mw.reporter.channel import Connection, Interrupted, Refused, Unavailable, Untrusted
from swprof_mw.reporter.jobs import Instance, Job, of_instance
from swprof_mw.reporter.outbox import Outbox
from swprof_mw.reporter.protocol import Call
from swprof_mw.reporter.queues import Queue, of_queues
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
        plain: whether to do without grpc.

    Attributes:
        calls: how many were begun.
        is_calm: whether there is nothing to do until ``wait`` is over, unless something is queued or somebody comes.
    """

    def __init__(
        self,
        config: Config,
        outboxes: tuple[Outbox[Ended], Outbox[Snapshot], Outbox[Finish]],
        calling: Any,
        seconds_left: Callable[[], float | None],
        plain: bool = False,
    ) -> None:
        self.calls = 0
        self.is_calm = False
        self._config = config
        self._calling = calling
        self._seconds_left = seconds_left
        self._connection = Connection(config, plain=plain)
        self._troubles = Troubles()
        self._instances: list[Instance] = []
        self._queues = of_queues(*outboxes)
        self._jobs: list[Job] = list(self._queues)

    @property
    def address(self) -> str:
        """The backend in use, ``HOST:PORT``."""
        return self._connection.address

    @property
    def last_error(self) -> str:
        """What the last failed call said; empty if none has failed."""
        return self._connection.last_error

    @property
    def wait(self) -> float:
        """Seconds until something is due, queues apart in which little waits."""
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
        self._troubles.settle()
        for _ in range(self._connection.choices):
            if self._connection.wait or not self._attend():
                break
        # At last: the answer to a question for tasks may have brought one.
        tasks = [_process(instance) for instance in self._instances]
        self.is_calm = not any(tasks) and not self._troubles.unsettled

    def drain(self) -> None:
        """Send what is queued, in the seconds left: at each address once, and at a single one twice."""
        if not _threads_start():
            self._connection.go_plain()  # grpc starts one for each stream
        for _ in range(max(self._connection.choices, 2)):
            if not any(self._lost_over(queue) for queue in self._queues):
                return

    def cancel(self) -> None:
        """End the call in progress. For other threads."""
        self._connection.cancel()

    def interrupt(self) -> None:
        """Break the call in progress off; it will be made again. For other threads."""
        self._connection.interrupt()

    def close(self) -> None:
        """End the connection. For other threads too, while ``calling`` is held: the next call opens another one."""
        self._connection.close()

    def _lost_over(self, queue: Queue) -> bool:
        """Send all that is in a queue, as long as it gets shorter. True if the connection was lost over it."""
        left = len(queue.outbox)
        while left and self._seconds_left() != 0.0:
            if self._attempt(queue):
                return True
            before, left = left, len(queue.outbox)
            if left >= before:
                break
        return False

    def _attend(self) -> bool:
        """Do what is due. True if the connection was lost over it."""
        for job in self._in_order():
            if self._seconds_left() is not None:
                return False
            if not job.wait and self._do(job):
                # Whatever that job met, the others come first the next time.
                self._jobs.remove(job)
                self._jobs.append(job)
                return True
        self._connection.move_on()
        return False

    def _in_order(self) -> list[Job]:
        """The jobs; where some time out, those that do come last, and what is queued is sent before any is tried."""
        if not any(job.timeouts for job in self._jobs):
            return list(self._jobs)
        return sorted(self._jobs, key=lambda job: (job.timeouts > 0, job not in self._queues))

    def _do(self, job: Job) -> bool:
        """Do a job that is due, after what goes before it, if that is not refused, and does not hang.

        True if the connection was lost over it.
        """
        for queue in job.before if isinstance(job, Queue) else ():
            if not (queue.wait or queue.timeouts):
                if self._attempt(queue):
                    return True
                if queue.behind:
                    return False
        return bool(self._attempt(job))

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
        except Interrupted:
            job.pause.succeeded()
            return True
        except Unavailable as failure:
            if failure.timed_out:
                job.timed_out()
            else:
                job.pause.succeeded()
            self._note(job, address, failure)
            return True
        if job.timeouts:
            self._forgive()
        job.pause.succeeded()
        self._troubles.over(job, method, address)
        return False

    def _forgive(self) -> None:
        """What had timed out is answered again: the other jobs that had need not wait."""
        for job in self._jobs:
            if job.timeouts:
                job.timeouts = 0
                job.pause.succeeded()

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
def _process(instance: Instance) -> bool:
    return instance.process_tasks()


def _threads_start() -> bool:
    """Whether a thread can be started: not when the interpreter is about to end, from 3.12 on."""
    try:
        native.start_new_thread(lambda: None, ())
    except RuntimeError:
        return False
    return True
