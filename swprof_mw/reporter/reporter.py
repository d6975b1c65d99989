"""The one loop that talks to the backend."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from swprof_mw import native
from swprof_mw.clock import monotonic_ns
from swprof_mw.failures import guarded
from swprof_mw.records import Ended, Finish, Snapshot
from swprof_mw.reporter.outbox import Outbox
from swprof_mw.reporter.troubles import Losses

if TYPE_CHECKING:
    from swprof_mw.config import Config
    from swprof_mw.reporter.agenda import Agenda
    from swprof_mw.reporter.jobs import Instance

#: What is queued is sent so often, seconds: the backend itself shows it about two seconds later.
FLUSH_INTERVAL = 0.5
_LONGEST_SLEEP = 3_600.0
_FINISHES = 1_000
_NS = 1_000_000_000


class Reporter:
    """Queues in, one loop out: tasks, segments, snapshots, keep-alive, finish reports.

    Args:
        config: the process-wide settings.
        on_grpc: called on the loop's thread if grpc has been imported there, and has hooked its own fork handlers.
        plain: whether grpc must not be touched in this process, whatever the settings say.

    Attributes:
        segments, snapshots, finishes: what waits to be sent. Any thread adds to them.
    """

    def __init__(self, config: Config, on_grpc: Callable[[], None] = lambda: None, plain: bool = False) -> None:
        self._config = config
        self._on_grpc = on_grpc
        self._plain = plain
        self.segments: Outbox[Ended] = Outbox(config.trace_reporter_max_buffer_size, self.wake)
        self.snapshots: Outbox[Snapshot] = Outbox(config.profile_snapshot_transport_buffer_size, self.wake)
        self.finishes: Outbox[Finish] = Outbox(_FINISHES, self.wake)
        self._outboxes = (self.segments, self.snapshots, self.finishes)
        self._wake = native.allocate_lock()
        self._done = native.allocate_lock()
        self._done.acquire()
        self._importing = native.allocate_lock()
        self._calling = native.allocate_lock()
        self._stop_at: int | None = None
        self._running = False
        self._arrivals: deque[Instance] = deque()
        self._agenda: Agenda | None = None
        self._losses = Losses()

    def join(self, instance: Instance) -> None:
        """Report for this instance too."""
        self._arrivals.append(instance)
        self.wake()

    def start(self) -> None:
        """Start the loop, on a native thread of its own. What it needs it imports there."""
        if not self._running:
            native.start_new_thread(self._run, ())
            self._running = True

    def stop(self, timeout: float) -> None:
        """Send what is queued and end, within ``timeout`` seconds; what is left then is dropped."""
        self._stop_at = monotonic_ns() + int(timeout * _NS)
        self.wake()
        if not self._running:
            return
        agenda = self._agenda
        calls = agenda.calls if agenda is not None else 0
        if not self._ended_within(timeout / 2) and agenda is not None and agenda.calls == calls:
            agenda.cancel()  # this one call may be waiting for a backend that is not there, and another one is
        if not self._ended_within(self._seconds_left() or 0.0) and self._agenda is not None:
            self._agenda.cancel()
        for outbox in self._outboxes:
            outbox.abandon()
        self._note_losses("the process has ended", at_once=True)

    def wake(self) -> None:
        """Let the loop turn now."""
        with contextlib.suppress(RuntimeError):  # it is awake already
            self._wake.release()

    def hold_import(self, timeout: float) -> bool:
        """Let nothing be imported until ``resume_import``.

        Args:
            timeout: seconds to wait for an import that is under way. If it still is then, the answer is False.
        """
        return bool(self._importing.acquire(True, timeout))

    def resume_import(self) -> None:
        """It may be imported again, after a ``hold_import`` that was True."""
        self._importing.release()

    def hold(self, timeout: float) -> bool:
        """Let no call be in flight until ``resume``.

        Args:
            timeout: seconds to wait for a call that is in flight. If it still is then, the answer is False.
        """
        return bool(self._calling.acquire(True, timeout))

    def interrupt(self) -> None:
        """Break the call in flight off, so that a ``hold`` need not wait for it. It is made again afterwards."""
        if self._agenda is not None:
            self._agenda.interrupt()

    def disconnect(self) -> None:
        """After a ``hold`` that was True: give up all that grpc holds for us. The next call connects anew."""
        if self._agenda is not None:
            self._agenda.close()

    def resume(self) -> None:
        """Calls may be made again, after a ``hold`` that was True."""
        self._calling.release()

    def report_finish(self, finish: Finish) -> None:
        """Queue the report that a task has ended; tried until the backend has taken it."""
        self.finishes.add(finish)
        self.wake()

    @property
    def backend(self) -> str:
        """The address in use, ``HOST:PORT``; empty before the loop has begun to report."""
        return self._agenda.address if self._agenda is not None else ""

    @property
    def last_error(self) -> str:
        """What the last failed call said; empty if none has failed."""
        return self._agenda.last_error if self._agenda is not None else ""

    def _ended_within(self, seconds: float) -> bool:
        ended = bool(self._done.acquire(True, seconds))
        if ended:
            self._done.release()
        return ended

    def _seconds_left(self) -> float | None:
        """Until the end; None while there is none in sight."""
        return None if self._stop_at is None else max(self._stop_at - monotonic_ns(), 0) / _NS

    def _note_losses(self, why: str, at_once: bool = False) -> None:
        outboxes: dict[str, Outbox[Any]] = {
            "segments": self.segments,
            "snapshots": self.snapshots,
            "finish reports": self.finishes,
        }
        lost = {kind: outbox.dropped + outbox.refused for kind, outbox in outboxes.items()}
        self._losses.note(lost, why, at_once)

    # The loop's own thread.

    def _run(self) -> None:
        try:
            while self._stop_at is None:
                self._rest()
                self._turn()
            self._drain()
        finally:
            if self._agenda is not None:
                self._agenda.close()
            self._done.release()

    def _rest(self) -> None:
        """Until the next turn: an interval, for more to be queued meanwhile; if nothing is, until there is a reason."""
        agenda = self._agenda
        wait = FLUSH_INTERVAL if agenda is None else agenda.wait
        woken = self._wake.acquire(True, min(wait, FLUSH_INTERVAL))
        if not woken and wait > FLUSH_INTERVAL and agenda is not None and agenda.is_calm:
            slept = self._sleep(wait - FLUSH_INTERVAL)
            if slept and self._has_time:
                self._wake.acquire(True, FLUSH_INTERVAL)

    def _sleep(self, seconds: float) -> bool:
        """So long, unless something is queued; False if something was already.

        To look for work now and then would cost more than all else that an idle process does: nothing of the loop is in
        the processor's caches any more when it wakes.
        """
        for outbox in self._outboxes:
            outbox.rouse_at = 1
        empty = not self._queued
        if empty:
            self._wake.acquire(True, min(seconds, _LONGEST_SLEEP))
        for outbox in self._outboxes:
            outbox.rouse_at = outbox.plenty
        return empty

    @property
    def _has_time(self) -> bool:
        """Whether there is nothing to do but to send a few segments or snapshots: more may come, and a fork."""
        plenty = any(len(outbox) >= outbox.plenty for outbox in (self.segments, self.snapshots))
        other = self._arrivals or len(self.finishes) or self._stop_at is not None
        return bool(self._queued) and not (plenty or other)

    @property
    def _queued(self) -> int:
        """How much waits to be sent, of all kinds."""
        return sum(len(outbox) for outbox in self._outboxes)

    @guarded("reporting")
    def _turn(self) -> None:
        agenda = self._planned()
        while self._arrivals:
            agenda.welcome(self._arrivals.popleft())
        agenda.turn()
        self._note_losses("a queue was full, or the backend refused them")

    @guarded("the last report")
    def _drain(self) -> None:
        if self._queued:
            self._planned().drain()

    def _planned(self) -> Agenda:
        if self._agenda is None:
            with self._importing:
                from swprof_mw.reporter.agenda import Agenda
                from swprof_mw.reporter.transport import load_grpc

                hook_forks = None if self._plain else load_grpc(self._config)
                if hook_forks is not None:
                    hook_forks()
                    self._on_grpc()
            self._agenda = Agenda(self._config, self._outboxes, self._calling, self._seconds_left, hook_forks is None)
        return self._agenda
