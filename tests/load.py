"""An HTTP client for tests: one request, or many from several clients at once."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from typing import NamedTuple
from urllib.parse import urlsplit


class Result(NamedTuple):
    """One answered request of `drive`, and how long it took."""

    url: str
    status: int
    headers: Message
    body: bytes
    seconds: float


def get(url: str, headers: Mapping[str, str] | None = None, timeout: float = 30) -> tuple[int, Message, bytes]:
    """GET ``url`` on a connection of its own: status, headers and body, whatever the status; follows no redirect.

    Raises:
        OSError, http.client.HTTPException: no answer, or only a part of one.
    """
    parts = urlsplit(url)
    assert parts.scheme == "http", url
    assert parts.hostname, url
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        query = f"?{parts.query}" if parts.query else ""
        connection.request("GET", (parts.path or "/") + query, headers={"Connection": "close", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def drive(
    urls: Sequence[str],
    *,
    seconds: float | None = None,
    count: int | None = None,
    parallel: int = 1,
    stagger: float = 0.0,
) -> list[Result]:
    """GET the URLs in turn, over and over, from several clients that each wait for their answer.

    Args:
        urls: what is asked for; one URL will do.
        seconds: no request begins later than that.
        count: so many requests in all. One of ``seconds`` and ``count`` is given.
        parallel: clients at once.
        stagger: seconds between the starts of two clients, so that they do not march in step.

    Returns:
        What was answered, in no particular order.

    Raises:
        OSError, http.client.HTTPException: a request got no answer; the other clients finish first.
    """
    assert (seconds is None) != (count is None), "either seconds or count"
    work = _Work(urls, seconds, count)
    with ThreadPoolExecutor(parallel) as pool:
        clients = [pool.submit(_client, work, number * stagger) for number in range(parallel)]
    return [result for client in clients for result in client.result()]


class _Work:
    """The URLs still to ask for, shared by the clients."""

    def __init__(self, urls: Sequence[str], seconds: float | None, count: int | None) -> None:
        self._urls = itertools.islice(itertools.cycle(urls), count)
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise StopIteration
        with self._lock:
            return next(self._urls)


def _client(work: Iterator[str], wait: float) -> list[Result]:
    time.sleep(wait)
    results = []
    for url in work:
        began = time.perf_counter()
        status, headers, body = get(url)
        results.append(Result(url, status, headers, body, time.perf_counter() - began))
    return results
