"""What the requests of the styles do, in steps of computing and waiting. The names say whose work it is.

``own_a...`` and ``own_b...`` are of the two profiled requests, which run at once; ``other_...`` of those beside them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import NamedTuple

CHUNKS = 3
#: Of computing and waiting, for each chunk: what servers and frameworks do with a chunk takes little of the time.
STEPS = 10
#: Of one step, seconds.
COMPUTE = 0.006
WAIT = 0.014


def spin(seconds: float) -> None:
    """Compute for so long."""
    end = time.perf_counter() + seconds
    number = 1
    while time.perf_counter() < end:
        number = number * 31 % 1_000_003


def own_compute() -> None:
    spin(COMPUTE)


def own_wait() -> None:
    time.sleep(WAIT)


async def own_wait_async() -> None:
    await asyncio.sleep(WAIT)


def own_steps() -> None:
    for _ in range(STEPS):
        own_compute()
        own_wait()


async def own_steps_async() -> None:
    for _ in range(STEPS):
        own_compute()
        await own_wait_async()


def own_a_chunks() -> Iterator[bytes]:
    for _ in range(CHUNKS):
        own_steps()
        yield b"a"


def own_b_chunks() -> Iterator[bytes]:
    for _ in range(CHUNKS):
        own_steps()
        yield b"b"


async def own_a_chunks_async() -> AsyncIterator[bytes]:
    for _ in range(CHUNKS):
        await own_steps_async()
        yield b"a"


async def own_b_chunks_async() -> AsyncIterator[bytes]:
    for _ in range(CHUNKS):
        await own_steps_async()
        yield b"b"


def own_a() -> bytes:
    return b"".join(own_a_chunks())


def own_b() -> bytes:
    return b"".join(own_b_chunks())


async def own_a_async() -> bytes:
    return b"".join([chunk async for chunk in own_a_chunks_async()])


async def own_b_async() -> bytes:
    return b"".join([chunk async for chunk in own_b_chunks_async()])


async def own_a_hears(message: Awaitable[bytes]) -> bytes:
    return await message


async def own_b_hears(message: Awaitable[bytes]) -> bytes:
    return await message


def other_chunks() -> Iterator[bytes]:
    for _ in range(4):
        spin(0.001)
        time.sleep(0.02)
        yield b"o"


async def other_chunks_async() -> AsyncIterator[bytes]:
    for _ in range(4):
        spin(0.001)
        await asyncio.sleep(0.02)
        yield b"o"


def other() -> bytes:
    return b"".join(other_chunks())


async def other_async() -> bytes:
    return b"".join([chunk async for chunk in other_chunks_async()])


async def other_hears(message: Awaitable[bytes]) -> bytes:
    return await message


class Work(NamedTuple):
    """One request's work, in each form that a style asks for."""

    whole: Callable[[], bytes]
    whole_async: Callable[[], Awaitable[bytes]]
    chunks: Callable[[], Iterator[bytes]]
    chunks_async: Callable[[], AsyncIterator[bytes]]
    hears: Callable[[Awaitable[bytes]], Awaitable[bytes]]


_WORK = {
    "a": Work(own_a, own_a_async, own_a_chunks, own_a_chunks_async, own_a_hears),
    "b": Work(own_b, own_b_async, own_b_chunks, own_b_chunks_async, own_b_hears),
    "other": Work(other, other_async, other_chunks, other_chunks_async, other_hears),
}


def asked(path: str, query: str | bytes) -> Work:
    """The work that a URL asks for: ``.../own?a``, ``.../own?b`` or ``.../other``."""
    query = query if isinstance(query, str) else query.decode()
    return _WORK[query if path.endswith("/own") and query else "other"]
