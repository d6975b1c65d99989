"""What is to be told or asked, each thing with a time of its own: a job. Those of an instance are here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from swprof_mw.clock import monotonic_ns
from swprof_mw.records import TaskCommand
from swprof_mw.reporter import encode, protocol
from swprof_mw.reporter.backoff import Backoff
from swprof_mw.reporter.channel import DEADLINE

#: Instance properties go with every tenth keep-alive.
PROPERTIES_EVERY = 10
#: The longest pause of a job that fails while the backend is there, seconds: so late it may notice that it is well.
_LONGEST_PAUSE = 3.0
#: So many times in a row a call that timed out gets half the time of the one before, so that one that hangs does not
#: hold up the others for long; then all of it again: the backend may only be slow.
_HALVINGS = 3
_NS = 1_000_000_000

#: Makes a call with a request, and returns the answer.
Send = Callable[[protocol.Call, Any], Any]


class Instance(Protocol):
    """A service's instance as the reporter sees it."""

    @property
    def name(self) -> str:
        """The service, as the backend knows it."""

    @property
    def instance(self) -> str:
        """The instance, as the backend knows it."""

    @property
    def profile_active(self) -> bool:
        """Whether tasks are asked for."""

    @property
    def last_command_time(self) -> int:
        """The newest CreateTime of a task seen so far, ms since the epoch."""

    def properties(self) -> list[tuple[str, str]]:
        """What the instance says of itself."""

    def receive(self, commands: list[TaskCommand], first_poll: bool) -> None:
        """Carry out what the backend answered; ``first_poll``: no poll was answered before."""

    def process_tasks(self) -> bool:
        """Let tasks begin and end, each at its time. Whether there is one that runs, or is going to."""


class Job:
    """Something that is done when it is due. One that fails waits, ever longer, and does not hold up the others.

    Attributes:
        call: what it asks of the backend.
        pause: after failures of its own.
        timeouts: in a row.
    """

    call: protocol.Call

    def __init__(self) -> None:
        self.pause = Backoff(_LONGEST_PAUSE)
        self.timeouts = 0

    @property
    def wait(self) -> float:
        """Seconds until it is due, or tried again; 0 if it is now, infinite while there is nothing to do."""
        return max(self._until_due(), self.pause.wait)

    def timed_out(self) -> None:
        """Its call was not answered in time. The pause counts from now on: the others may need as long as it took."""
        self.timeouts += 1
        self.pause.failed()

    @property
    def patience(self) -> float:
        """Seconds that its next call may take."""
        return DEADLINE / float(2 ** (self.timeouts % (_HALVINGS + 1)))

    def run(self, send: Send) -> None:
        """Do it now.

        Raises:
            Refused: the backend does not take it.
            Unavailable: it is not there.
        """
        raise NotImplementedError

    def _until_due(self) -> float:
        raise NotImplementedError


class _Periodic(Job):
    def __init__(self, instance: Instance, interval: float) -> None:
        super().__init__()
        self.count = 0
        self._instance = instance
        self._interval = int(interval * _NS)
        self._due = 0
        self._who = {"service": instance.name, "serviceInstance": instance.instance}

    def _until_due(self) -> float:
        return max(self._due - monotonic_ns(), 0) / _NS

    def _done(self) -> None:
        self._due = monotonic_ns() + self._interval
        self.count += 1


class KeepAlive(_Periodic):
    """Says that the instance lives."""

    call = protocol.KEEP_ALIVE

    def run(self, send: Send) -> None:
        """Say it."""
        send(self.call, protocol.InstancePingPkg(**self._who))
        self._done()


class Properties(Job):
    """Says what the instance is: at the start and then with every tenth keep-alive."""

    call = protocol.REPORT_INSTANCE_PROPERTIES

    def __init__(self, instance: Instance, alive: KeepAlive) -> None:
        super().__init__()
        self._instance = instance
        self._alive = alive
        self._next = 0

    def _until_due(self) -> float:
        return 0.0 if self._alive.count >= self._next else float("inf")

    def run(self, send: Send) -> None:
        """Say it."""
        properties = encode.pairs(self._instance.properties())
        who = {"service": self._instance.name, "serviceInstance": self._instance.instance}
        send(self.call, protocol.InstanceProperties(**who, properties=properties))
        self._next = self._alive.count + PROPERTIES_EVERY


class Query(_Periodic):
    """Asks for profile tasks."""

    call = protocol.GET_PROFILE_TASK_COMMANDS

    def run(self, send: Send) -> None:
        """Ask, and hand over what is answered."""
        since = self._instance.last_command_time
        answer = send(self.call, protocol.ProfileTaskCommandQuery(**self._who, lastCommandTime=since))
        self._done()
        self._instance.receive(encode.commands(answer), self.count == 1)


def of_instance(instance: Instance, heartbeat_period: float, query_interval: float) -> Iterator[Job]:
    """The jobs of an instance; periods in seconds."""
    alive = KeepAlive(instance, heartbeat_period)
    yield Properties(instance, alive)
    yield alive
    if instance.profile_active:
        yield Query(instance, query_interval)
