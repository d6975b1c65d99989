"""The jobs that send what waits in an outbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swprof_mw import native
from swprof_mw.reporter import encode, protocol
from swprof_mw.reporter.channel import Refused, Unavailable
from swprof_mw.reporter.jobs import Job, Send
from swprof_mw.reporter.outbox import Outbox
from swprof_mw.reporter.records import SEGMENTS, SNAPSHOTS

#: Statuses that say nothing of the data: the backend does not take the call as such.
_OF_THE_CALL = frozenset({"UNIMPLEMENTED", "PERMISSION_DENIED", "UNAUTHENTICATED"})
#: A message that is refused by itself is dropped after so many tries. Other statuses than these may pass with time.
_TRIES = {"INVALID_ARGUMENT": 1, "OUT_OF_RANGE": 1, "RESOURCE_EXHAUSTED": 4}
_PATIENCE = 10


class Queue(Job):
    """Sends what waits in an outbox, the oldest first, until the backend has taken it.

    A batch that is refused, or takes too long, is halved; of a message that is refused by itself, only that one is
    dropped, and counted.

    Args:
        outbox: what is sent.
        size: items of a call, at the most.
        call: what they are sent with.
        message: turns an item into a message.
        pack: turns encoded messages into the request.
    """

    def __init__(
        self,
        outbox: Outbox[Any],
        size: int,
        call: protocol.Call,
        message: Callable[[Any], Any],
        pack: Callable[[list[bytes]], Any],
    ) -> None:
        super().__init__()
        self.call = call
        self.outbox = outbox
        self._full = self._size = size
        self._message = message
        self._pack = pack
        self._tries = 0

    def _until_due(self) -> float:
        return 0.0 if len(self.outbox) else float("inf")

    def run(self, send: Send) -> None:
        """Send all that is queued now."""
        left = len(self.outbox)
        while left > 0 and (batch := self.outbox.batch(self._size)):
            messages = encode.encoded(batch, self._message)
            try:
                if messages:
                    send(self.call, self._pack(messages))
            except Refused as refused:
                self._make_smaller(len(batch), refused)
            except Unavailable as failure:
                if failure.timed_out:
                    self._size = max(len(batch) // 2, 1)
                raise
            else:
                self.outbox.done(len(batch), refused=len(batch) - len(messages))
                self._size = min(self._size * 2, self._full)
                self._tries = 0
                left -= len(batch)

    def _make_smaller(self, size: int, refused: Refused) -> None:
        """A batch of that size was refused. Raises what it was refused with if trying on at once is no use."""
        if refused.code in _OF_THE_CALL:
            raise refused
        if size > 1:
            self._size = size // 2
            return
        self._tries += 1
        if self._tries >= _TRIES.get(refused.code, _PATIENCE):
            self._tries = 0
            self.outbox.done(1, refused=1)
        raise refused


class Snapshots(Queue):
    """Streams snapshots; where no thread can be started for that, or greenlets have taken its place, one by one.

    Attributes:
        one_by_one: whether they go so in any case.
    """

    def __init__(self, outbox: Outbox[Any], size: int) -> None:
        super().__init__(outbox, size, protocol.COLLECT_SNAPSHOT, encode.snapshot, iter)
        self._streamed = size
        self.one_by_one = False

    def run(self, send: Send) -> None:
        """Send all that is queued now."""
        single = self.one_by_one or native.patched()
        self._full = 1 if single else self._streamed
        self._size = min(self._size, self._full)
        self.call = protocol.COLLECT_ONE_SNAPSHOT if single else protocol.COLLECT_SNAPSHOT
        self._pack = first if single else iter
        super().run(send)


def of_queues(segments: Outbox[Any], snapshots: Outbox[Any], finishes: Outbox[Any]) -> tuple[Queue, Snapshots, Queue]:
    """The jobs of the queues, snapshots before the reports that their task has ended."""
    return (
        Queue(segments, SEGMENTS, protocol.COLLECT_SEGMENTS_IN_SYNC, encode.collection, b"".join),
        Snapshots(snapshots, SNAPSHOTS),
        Queue(finishes, 1, protocol.REPORT_TASK_FINISH, encode.finish, first),
    )


def first(messages: list[bytes]) -> bytes:
    """The only one."""
    return messages[0]
