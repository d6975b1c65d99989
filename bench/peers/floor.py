"""The least that reporting every request can cost: a tuple queued, and one thread that sends them in batches.

No routes, no errors, no tasks, no limits: what a middleware adds to this is what its features cost.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

BATCH = 200
INTERVAL = 0.5


class Queue:
    """What waits, and the thread that sends it to the backend at ``HOST:PORT``."""

    def __init__(self, address: str) -> None:
        import grpc

        from swprof_mw.reporter import protocol

        self._protocol = protocol
        self._items: deque[tuple[str, str, int, int, str, str]] = deque()
        self._numbers = itertools.count()
        self._stub = protocol.COLLECT_SEGMENTS_IN_SYNC.stub(grpc.insecure_channel(address))
        threading.Thread(target=self._run, daemon=True).start()

    def add(self, method: str, path: str, start: int, status: str) -> None:
        """One request is over."""
        self._items.append((f"floor.{next(self._numbers)}", path, start, int(time.time() * 1000), method, status))

    def _run(self) -> None:
        while True:
            time.sleep(INTERVAL)
            while self._items:
                batch = [self._items.popleft() for _ in range(min(BATCH, len(self._items)))]
                self._stub(self._protocol.SegmentCollection(segments=[self._segment(*item) for item in batch]))

    def _segment(self, identity: str, path: str, start: int, end: int, method: str, status: str) -> Any:
        protocol = self._protocol
        span = protocol.SpanObject(
            spanId=0,
            parentSpanId=-1,
            startTime=start,
            endTime=end,
            operationName=path,
            peer="127.0.0.1:50000",
            spanLayer=3,
            componentId=7001,
            tags=[
                protocol.KeyStringValuePair(key="http.method", value=method),
                protocol.KeyStringValuePair(key="url", value=path),
                protocol.KeyStringValuePair(key="http.status_code", value=status),
            ],
        )
        return protocol.SegmentObject(
            traceId=identity, traceSegmentId=identity, spans=[span], service="bench", serviceInstance="bench"
        )


def wsgi(app: Any, queue: Queue) -> Any:
    """A WSGI app whose requests are queued."""

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start, statuses = int(time.time() * 1000), []

        def listen(status: str, *args: Any) -> Any:
            statuses.append(status[:3])
            return start_response(status, *args)

        try:
            return app(environ, listen)
        finally:
            queue.add(environ["REQUEST_METHOD"], environ["PATH_INFO"], start, statuses[0])

    return call


def asgi(app: Any, queue: Queue) -> Any:
    """An ASGI app whose requests are queued."""

    async def call(scope: dict[str, Any], receive: Any, send: Any) -> None:
        start, statuses = int(time.time() * 1000), []

        async def listen(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(str(message["status"]))
            await send(message)

        try:
            await app(scope, receive, listen)
        finally:
            queue.add(scope["method"], scope["path"], start, statuses[0])

    return call
