"""A steady load: clients that ask, look at the answer, and pause."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.load import get

#: A client that hangs up does so after so many seconds.
HANGS_UP_AFTER = 0.01
_TIMEOUT = 60.0


class Ask(NamedTuple):
    """One kind of request.

    Attributes:
        path: with its query.
        status: of the answer; None: the client hangs up and wants none.
    """

    path: str
    status: int | None = 200


class Load:
    """Requests of several kinds in turn, from several clients at once.

    Args:
        port: of 127.0.0.1.
        asks: what is asked for, again and again.
        clients: at once.
        pause: of a client after each of its requests, seconds.

    Attributes:
        done: requests made.
        failures: those that were not answered as they should be, by what came instead.
    """

    def __init__(self, port: int, asks: Sequence[Ask], clients: int, pause: float) -> None:
        self.done = 0
        self.failures: Counter[str] = Counter()
        self._port = port
        self._asks = asks
        self._clients = clients
        self._pause = pause
        self._over = threading.Event()
        self._lock = threading.Lock()

    def run(self, seconds: float | None = None, count: int | None = None) -> int:
        """Go on for so many seconds, or so many requests, or until `stop`; how many were made."""
        before, until = self.done, None if seconds is None else time.monotonic() + seconds
        numbers = iter(range(count)) if count is not None else itertools.count()
        with ThreadPoolExecutor(self._clients) as pool:
            clients = [pool.submit(self._client, numbers, until, place) for place in range(self._clients)]
        for client in clients:
            client.result()
        return self.done - before

    def stop(self) -> None:
        """End it. For another thread."""
        self._over.set()

    def _client(self, numbers: Iterator[int], until: float | None, place: int) -> None:
        # So that they do not march in step.
        self._over.wait(self._pause * place / self._clients)
        while not self._over.is_set() and (until is None or time.monotonic() < until):
            with self._lock:
                number = next(numbers, None)
            if number is None:
                return
            found = self._ask(self._asks[number % len(self._asks)])
            with self._lock:
                self.done += 1
                self.failures.update(found)
            self._over.wait(self._pause)

    def _ask(self, ask: Ask) -> list[str]:
        """What went wrong."""
        try:
            if ask.status is None:
                self._hang_up(ask.path)
                return []
            status, _, _ = get(f"http://127.0.0.1:{self._port}{ask.path}", timeout=_TIMEOUT)
        except (OSError, http.client.HTTPException) as error:
            return [f"{ask.path}: {error!r}"]
        return [] if status == ask.status else [f"{ask.path}: {status}"]

    def _hang_up(self, path: str) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=_TIMEOUT) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            self._over.wait(HANGS_UP_AFTER)
