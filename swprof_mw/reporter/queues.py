"""The jobs that send what waits in an outbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swprof_mw import native
from swprof_mw.clock import monotonic_ns
from swprof_mw.records import SEGMENTS, SNAPSHOTS
from swprof_mw.reporter import encode, known, protocol
from swprof_mw.reporter.channel import DEADLINE, Refused, Unavailable
from swprof_mw.reporter.jobs import Job, Send
from swprof_mw.reporter.outbox import Outbox

#: Statuses that say nothing of the data: the backend does not take the call as such.
_OF_THE_CALL = frozenset({"UNIMPLEMENTED", "PERMISSION_DENIED", "UNAUTHENTICATED"})
#: A message that is refused by itself as that is dropped at once: these say that the data are at fault.
_OF_THE_DATA = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE"})
#: Other statuses may pass with time: after so many tries it shows whether the backend takes other messages.
_TRIES = {"RESOURCE_EXHAUSTED": 4}
_PATIENCE = 10
#: So long, ns, one queue is sent without a look at the other jobs.
_SHARE = 1_000_000_000
#: Of so many messages that wait behind it, each time another one.
_OTHERS = 100


class Queue(Job):
    """Sends what waits in an outbox, the oldest first, until the backend has taken it.

    A batch that is refused, or takes too long, is halved. A message that is refused by itself is dropped, and counted,
    if the data are at fault by the status, or if the backend takes others: one that takes none is waited for.

    Args:
        outbox: what is sent.
        size: items of a call, at the most.
        call: what they are sent with.
        encoding: encodes an item.
        pack: turns encoded messages into the request.

    Attributes:
        outbox: as given.
        before: what is to be sent before it.
        behind: whether it was left off before all had gone that was queued.
    """

    before: tuple[Queue, ...] = ()

    def __init__(
        self,
        outbox: Outbox[Any],
        size: int,
        call: protocol.Call,
        encoding: Callable[[Any], bytes],
        pack: Callable[[list[bytes]], Any],
    ) -> None:
        super().__init__()
        self.call = call
        self.outbox = outbox
        self.behind = False
        self._full = self._size = size
        self._encoding = encoding
        self._pack = pack
        self._tries = 0

    @property
    def overdue(self) -> bool:
        """Whether so much waits that it is to be sent at once."""
        return len(self.outbox) >= self.outbox.plenty

    def _until_due(self) -> float:
        return 0.0 if len(self.outbox) else float("inf")

    def run(self, send: Send) -> None:
        """Send what is queued now, for about a second: a slow backend is to hear of other things too."""
        self.behind = False
        left = len(self.outbox)
        until = monotonic_ns() + _SHARE
        while left > 0 and monotonic_ns() < until and (batch := self.outbox.batch(self._size)):
            messages = encode.encoded(batch, self._encoding)
            try:
                if messages:
                    send(self.call, self._pack(messages))
            except Refused as refused:
                self._make_smaller(len(batch), refused, send)
            except Unavailable as failure:
                if failure.timed_out:
                    self._size = max(len(batch) // 2, 1)
                raise
            else:
                self.outbox.done(len(batch), refused=len(batch) - len(messages))
                self._size = min(self._size * 2, self._full)
                self._tries = 0
                left -= len(batch)
        self.behind = left > 0

    @property
    def patience(self) -> float:
        """All the time there is: a batch that takes too long gets smaller instead."""
        return DEADLINE

    def timed_out(self) -> None:
        """The call was not answered in time. No further pause: it comes after all others anyway."""
        self.timeouts += 1

    def _make_smaller(self, size: int, refused: Refused, send: Send) -> None:
        """A batch of that size was refused. Raises what it was refused with if trying on at once is no use."""
        if refused.code in _OF_THE_CALL:
            raise refused
        if size > 1:
            self._size = size // 2
            return
        self._tries += 1
        if refused.code in _OF_THE_DATA or self._only_this_one(refused.code, send):
            self._give_up()
            self._tries = 0
        raise refused

    def _give_up(self) -> None:
        """The oldest item will never be taken."""
        self.outbox.done(1, refused=1)

    def _only_this_one(self, code: str, send: Send) -> bool:
        """Whether the oldest item is refused again and again, and at the same time another one is taken."""
        tries = self._tries - _TRIES.get(code, _PATIENCE)
        behind = len(self.outbox) - 1
        if tries < 0 or behind < 1:
            return False
        other = 1 + tries % min(behind, _OTHERS)
        if not self._takes(other, send):
            return False
        refused = not self._takes(0, send)
        self.outbox.take_out(other)
        if not refused:
            self.outbox.done(1)
            self._tries = 0
        return refused

    def _takes(self, index: int, send: Send) -> bool:
        """Whether the backend takes that item by itself."""
        messages = encode.encoded(self.outbox.batch(index + 1)[index:], self._encoding)
        try:
            if messages:
                send(self.call, self._pack(messages))
        except Refused:
            return False
        return bool(messages)


class Snapshots(Queue):
    """Streams snapshots; where greenlets have taken the place of threads, one by one."""

    def __init__(self, outbox: Outbox[Any], size: int) -> None:
        super().__init__(outbox, size, protocol.COLLECT_SNAPSHOT, known.Snapshots(), iter)
        self._streamed = size

    def run(self, send: Send) -> None:
        """As of any queue."""
        single = native.patched()
        self._full = 1 if single else self._streamed
        self._size = min(self._size, self._full)
        self.call = protocol.COLLECT_ONE_SNAPSHOT if single else protocol.COLLECT_SNAPSHOT
        self._pack = first if single else iter
        super().run(send)


class Finishes(Queue):
    """Sends reports that a task has ended, after all that was queued before them.

    None is given up: one that is refused is tried again after the others.
    """

    def __init__(self, outbox: Outbox[Any], before: tuple[Queue, ...]) -> None:
        super().__init__(outbox, 1, protocol.REPORT_TASK_FINISH, encode.whole(encode.finish), first)
        self.before = before

    def _give_up(self) -> None:
        self.outbox.postpone()


def of_queues(segments: Outbox[Any], snapshots: Outbox[Any], finishes: Outbox[Any]) -> tuple[Queue, Queue, Queue]:
    """The jobs of the queues, segments and snapshots before the reports that their task has ended."""
    first_of_all = (
        Queue(segments, SEGMENTS, protocol.COLLECT_SEGMENTS_IN_SYNC, known.Segments(), b"".join),
        Snapshots(snapshots, SNAPSHOTS),
    )
    return (*first_of_all, Finishes(finishes, first_of_all))


def first(messages: list[bytes]) -> bytes:
    """The only one."""
    return messages[0]
