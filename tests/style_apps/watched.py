"""Two requests for other tools to watch, on a thread and in a task: each time the same calls, lines and allocations.

Functions that begin with ``own_`` are the requests'.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Of computing and waiting, in each of the three places: a thread, a task, a worker.
ROUNDS = 8
PAUSE = 0.004
FILE = __file__

_NUMBERS = tuple(range(20_000))

kept: list[bytes] = []


def own_compute() -> int:
    """Some milliseconds of work, most of it in C: tools that follow every line do not make it much longer."""
    total = 0
    for number in range(20):
        total += number + sum(_NUMBERS)
    return total


def own_keep() -> None:
    """Allocates what stays."""
    kept.append(bytes(1_000))


def own_pause() -> None:
    """Blocks the thread."""
    time.sleep(PAUSE)


async def own_pause_async() -> None:
    """Suspends the task."""
    await asyncio.sleep(PAUSE)


def own_view(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The request on a thread, a WSGI app."""
    total = 0
    for _ in range(ROUNDS):
        total += own_compute()
        own_pause()
        own_keep()
    start_response("200 OK", [])
    return [str(total).encode()]


def own_work() -> int:
    """What the task gives to a worker thread."""
    total = 0
    breakpoint()
    for _ in range(ROUNDS):
        total += own_compute()
        own_pause()
    return total


async def own_app(scope: Any, receive: Any, send: Any) -> None:
    """The request in a task, an ASGI app."""
    total = 0
    for _ in range(ROUNDS):
        total += own_compute()
        await own_pause_async()
    total += await asyncio.to_thread(own_work)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(total).encode()})


def own_never() -> None:
    """Nobody calls it: a breakpoint here keeps a debugger at it."""
