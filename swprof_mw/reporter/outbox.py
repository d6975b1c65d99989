"""A bounded queue whose items are gone only when they have been taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Of the room in an outbox, what may be taken up before it is emptied at once.
_PART = 4


class Outbox(Generic[T]):
    """What waits to be sent. Any thread adds, without waiting; one thread takes batches.

    No lock: a finalizer may add in the middle of anything. Each step is one that the interpreter does not divide.

    Args:
        limit: items kept at the most, those in the batch included; further ones are dropped and counted.
        rouse: called when ``rouse_at`` items are kept.

    Attributes:
        plenty: so many are to be sent at once. Fewer may wait a while: larger batches cost less.
        rouse_at: as many, or 1 while whoever sends them sleeps until there is one.
        dropped: items that found it full, and those that were left when the process ended.
        refused: items that the backend will not take, or that cannot be encoded.
        sent: items that were taken by the backend.
    """

    def __init__(self, limit: int, rouse: Callable[[], object] = lambda: None) -> None:
        self._limit = limit
        self._rouse = rouse
        self.plenty = self.rouse_at = max(limit // _PART, 1)
        self._items: deque[T] = deque()
        self._batch: list[T] = []
        self.dropped = 0
        self.refused = 0
        self.sent = 0

    def __len__(self) -> int:
        return len(self._items) + len(self._batch)

    def add(self, item: T) -> bool:
        """Keep an item. False, dropped and counted, if there is no room for it."""
        kept = len(self._items) + len(self._batch) + 1
        if kept > self._limit:
            self.dropped += 1
            return False
        self._items.append(item)
        if kept == self.rouse_at:
            self._rouse()
        return True

    def batch(self, size: int) -> list[T]:
        """Up to ``size`` items, the oldest first. The same ones again until ``done`` says that they are gone."""
        while len(self._batch) < size and self._items:
            self._batch.append(self._items.popleft())
        return self._batch[:size]

    def done(self, count: int, refused: int = 0) -> None:
        """The oldest ``count`` items are gone: sent, but for ``refused`` of them that nobody takes."""
        del self._batch[:count]
        self.sent += count - refused
        self.refused += refused

    def take_out(self, index: int) -> None:
        """The item at that place of the batch was sent before its turn."""
        del self._batch[index]
        self.sent += 1

    def postpone(self) -> None:
        """The oldest item becomes the newest."""
        self._items.append(self._batch[0])
        del self._batch[0]

    def abandon(self) -> int:
        """Drop and count all that is left; how many that were."""
        left = len(self)
        self._batch.clear()
        self._items.clear()
        self.dropped += left
        return left
