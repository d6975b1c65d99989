"""The one loop that talks to the backend."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from swprof_mw.clock import monotonic_ns
from swprof_mw.failures import guarded
from swprof_mw.native import allocate_lock, start_new_thread
from swprof_mw.reporter.outbox import Outbox
from swprof_mw.reporter.records import Finish, Segment, Snapshot, TaskCommand

if TYPE_CHECKING:
    from swprof_mw.config import Config
    from swprof_mw.reporter.channel import Connection
    from swprof_mw.reporter.protocol import Call

logger = logging.getLogger("swprof_mw")

#: What is queued is sent so often, seconds: the backend itself shows it about two seconds later.
FLUSH_INTERVAL = 0.5
#: Instance properties go with every tenth keep-alive.
PROPERTIES_EVERY = 10
_SEGMENTS = 200
_SNAPSHOTS = 500
_FINISHES = 1_000
_NS = 1_000_000_000


class Instance(Protocol):
    """A service's instance as the reporter sees it.

    Attributes:
        name, instance: as the backend knows them.
        properties: what the instance says of itself.
        profile_active: whether tasks are asked for.
        last_command_time: the newest CreateTime of a task seen so far, ms since the epoch.
    """

    @property
    def name(self) -> str: ...
    @property
    def instance(self) -> str: ...
    @property
    def profile_active(self) -> bool: ...
    @property
    def last_command_time(self) -> int: ...
    def properties(self) -> list[tuple[str, str]]: ...
    def receive(self, commands: list[TaskCommand], first_poll: bool) -> None: ...
    def process_tasks(self) -> None: ...


class Duty:
    """Something done every so often; after a failure it is due again at once."""

    def __init__(self, interval: float) -> None:
        self._interval = int(interval * _NS)
        self._due = 0
        self.count = 0

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return monotonic_ns() >= self._due

    def done(self) -> None:
        """It was done now."""
        self._due = monotonic_ns() + self._interval
        self.count += 1


class Member:
    """One instance and what is due for it."""

    def __init__(self, instance: Instance, config: Config) -> None:
        self.instance = instance
        self.alive = Duty(config.heartbeat_period)
        self.query = Duty(config.profile_task_query_interval)


class Reporter:
    """Queues in, one loop out: tasks, segments, snapshots, keep-alive, finish reports.

    Args:
        config: the process-wide settings.

    Attributes:
        segments, snapshots, finishes: what waits to be sent.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.segments: Outbox[Segment] = Outbox(config.trace_reporter_max_buffer_size)
        self.snapshots: Outbox[Snapshot] = Outbox(config.profile_snapshot_transport_buffer_size)
        self.finishes: Outbox[Finish] = Outbox(_FINISHES)
        self._members: list[Member] = []
        self._wake = allocate_lock()
        self._done = allocate_lock()
        self._stop_at: int | None = None
        self._running = False
        self._connection: Connection | None = None

    def join(self, instance: Instance) -> None:
        """Report for this instance too."""
        self._members.append(Member(instance, self._config))
        self.wake()

    def start(self) -> None:
        """Start the loop, on a native thread of its own. It imports grpc there."""
        if not self._running:
            self._running = True
            self._done.acquire()
            start_new_thread(self._run, ())

    def stop(self, timeout: float) -> None:
        """Send what is queued and end, within ``timeout`` seconds; what is left then is dropped."""
        self._stop_at = monotonic_ns() + int(timeout * _NS)
        self.wake()
        if self._running and self._done.acquire(True, timeout):
            self._done.release()

    def wake(self) -> None:
        """Let the loop turn now."""
        with contextlib.suppress(RuntimeError):  # it is awake already
            self._wake.release()

    def report_segment(self, segment: Segment) -> None:
        """Queue a segment; dropped and counted if the queue is full."""
        if self.segments.add(segment) and len(self.segments) == _SEGMENTS:
            self.wake()

    def report_snapshot(self, snapshot: Snapshot) -> bool:
        """Queue a snapshot; False, dropped and counted, if the queue is full."""
        kept = self.snapshots.add(snapshot)
        if kept and len(self.snapshots) == _SNAPSHOTS:
            self.wake()
        return kept

    def report_finish(self, finish: Finish) -> None:
        """Queue the report that a task has ended; tried until the backend has taken it."""
        self.finishes.add(finish)
        self.wake()

    @property
    def last_error(self) -> str:
        """What the last failed call said; empty if none has failed."""
        return self._connection.last_error if self._connection else ""

    # The loop's own thread.

    def _run(self) -> None:
        try:
            while self._stop_at is None:
                self._wake.acquire(True, FLUSH_INTERVAL)
                self._turn()
            self._drain()
        finally:
            if self._connection is not None:
                self._connection.close()
            self._done.release()

    @guarded("reporting")
    def _turn(self) -> None:
        from swprof_mw.reporter import channel

        if self._connection is None:
            self._connection = channel.Connection(self._config)
        for member in tuple(self._members):
            member.instance.process_tasks()
        if self._connection.ready:
            with contextlib.suppress(channel.Unavailable):
                self._attend(self._connection)
                self._send_all(self._connection)

    @guarded("the last report")
    def _drain(self) -> None:
        """The last turn: one try, within the time given."""
        from swprof_mw.reporter import channel

        if len(self.segments) + len(self.snapshots) + len(self.finishes) == 0:
            return
        connection = self._connection or channel.Connection(self._config)
        with contextlib.suppress(channel.Unavailable):
            self._send_all(connection)

    def _attend(self, connection: Connection) -> None:
        """What is due for each instance: properties, keep-alive, the query for tasks."""
        from swprof_mw.reporter import protocol

        for member in tuple(self._members):
            if member.alive.due:
                self._keep_alive(connection, member)
            if member.query.due and member.instance.profile_active:
                request = protocol.ProfileTaskCommandQuery(
                    service=member.instance.name,
                    serviceInstance=member.instance.instance,
                    lastCommandTime=member.instance.last_command_time,
                )
                self._obey(member, self._call(connection, protocol.GET_PROFILE_TASK_COMMANDS, request))

    def _obey(self, member: Member, answer: Any) -> None:
        from swprof_mw.reporter import encode

        first_poll = member.query.count == 0
        member.query.done()
        member.instance.receive(encode.commands(answer), first_poll)

    def _keep_alive(self, connection: Connection, member: Member) -> None:
        from swprof_mw.reporter import encode, protocol

        who = {"service": member.instance.name, "serviceInstance": member.instance.instance}
        if member.alive.count % PROPERTIES_EVERY == 0:
            properties = encode.pairs(member.instance.properties())
            request = protocol.InstanceProperties(**who, properties=properties)
            self._call(connection, protocol.REPORT_INSTANCE_PROPERTIES, request)
        self._call(connection, protocol.KEEP_ALIVE, protocol.InstancePingPkg(**who))
        member.alive.done()

    def _send_all(self, connection: Connection) -> None:
        """All that is queued now; snapshots before the finish reports that may follow them."""
        from swprof_mw.reporter import encode, protocol

        self._send(connection, self.segments, _SEGMENTS, protocol.COLLECT_SEGMENTS_IN_SYNC, encode.segments)
        self._send(
            connection, self.snapshots, _SNAPSHOTS, protocol.COLLECT_SNAPSHOT, lambda batch: map(encode.snapshot, batch)
        )
        self._send(connection, self.finishes, 1, protocol.REPORT_TASK_FINISH, lambda batch: encode.finish(batch[0]))

    def _send(
        self, connection: Connection, outbox: Outbox[Any], size: int, call: Call, encode: Callable[[list[Any]], Any]
    ) -> None:
        for _ in range(len(outbox) // size + 1):
            batch = outbox.batch(size)
            if not batch:
                return
            self._call(connection, call, encode(batch))
            outbox.done()

    def _call(self, connection: Connection, call: Call, request: Any) -> Any:
        from swprof_mw.reporter.channel import DEADLINE

        deadline = DEADLINE
        if self._stop_at is not None:
            deadline = min(deadline, max(self._stop_at - monotonic_ns(), 0) / _NS)
        return connection.call(call, request, deadline)
