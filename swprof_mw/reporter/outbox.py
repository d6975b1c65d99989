"""A bounded queue whose items are gone only when they have been taken."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Outbox(Generic[T]):
    """What waits to be sent. Any thread adds, without waiting; one thread takes batches.

    Args:
        limit: items kept at the most, those in the batch included; further ones are dropped and counted.

    Attributes:
        dropped: items that found it full.
        sent: items that were taken by the backend.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._batch: list[T] = []
        self.dropped = 0
        self.sent = 0

    def __len__(self) -> int:
        return len(self._items) + len(self._batch)

    def add(self, item: T) -> bool:
        """Keep an item; False if there is no room for it."""
        if len(self) >= self._limit:
            self.dropped += 1
            return False
        self._items.append(item)
        return True

    def batch(self, size: int) -> list[T]:
        """Up to ``size`` items, the oldest first. The same ones again until ``done`` says that they were taken."""
        while len(self._batch) < size and self._items:
            self._batch.append(self._items.popleft())
        return self._batch

    def done(self) -> None:
        """The last batch was taken."""
        self.sent += len(self._batch)
        self._batch = []
