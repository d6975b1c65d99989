"""The streams that agents have open: so many at once, each only so long."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc

MOST_STREAMS = 48
"""Open at once; each holds one of the server's threads, and other calls need some too."""

MOST_MESSAGES = 100_000
"""Of one stream; a task of 15 minutes that samples five requests at 10 ms sends more, but not all in one."""

SILENT = 5.0
"""Seconds without a message, after which a stream may have to make room for another one."""


class Streams:
    """Lets messages through while there is room for their stream. What one has brought so far stays, however it ends.

    Args:
        most: streams open at once.
        messages: of one stream.
        silent: seconds after which one that brings nothing gives way to a new one, if there is no room left.
    """

    def __init__(self, most: int = MOST_STREAMS, messages: int = MOST_MESSAGES, silent: float = SILENT) -> None:
        self._most, self._messages, self._silent = most, messages, silent
        self._lock = threading.Lock()
        self._open: dict[grpc.ServicerContext, float] = {}

    def messages(self, stream: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """The messages of a stream. Ends the call with ``RESOURCE_EXHAUSTED`` where there is no room for it."""
        with self._place(context):
            for number, message in enumerate(stream):
                if number == self._messages:
                    context.abort(
                        grpc.StatusCode.RESOURCE_EXHAUSTED, f"more than {self._messages} messages in a stream"
                    )
                if context in self._open:
                    self._open[context] = time.monotonic()
                yield message

    @contextlib.contextmanager
    def _place(self, context: grpc.ServicerContext) -> Iterator[None]:
        if not self._enter(context):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{self._most} streams are open already")
        try:
            yield
        finally:
            with self._lock:
                self._open.pop(context, None)

    def _enter(self, context: grpc.ServicerContext) -> bool:
        now = time.monotonic()
        with self._lock:
            if len(self._open) >= self._most:
                longest = min(self._open, key=self._open.__getitem__)
                if now - self._open[longest] < self._silent:
                    return False
                del self._open[longest]
                longest.cancel()
            self._open[context] = now
            return True
