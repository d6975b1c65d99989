"""Work whose truth is known: computing in bursts, and waiting. The names say whose it is.

Functions that begin with ``own_`` are only ever run for the profiled endpoint, those with ``other_`` only for the
others beside it: a snapshot with one of the latter is another request's.
"""

import asyncio
import time
from typing import NamedTuple

#: Of each cycle, computing takes this share and waiting the rest.
COMPUTING = 0.3
#: A loop that is free wakes a task within this, seconds.
FREE_LOOP = 0.001


class Truth:
    """What a request did, in seconds, by its own clocks.

    Attributes:
        compute: how long it was in the function that computes.
        worked: of that, how long it had a processor: not what it waited in there for the GIL or a processor.
        wait: how long it was in the function that waits.
        queued: of that, by how much it waited longer than it asked for, and a loop that is free takes: it was busy.
    """

    def __init__(self) -> None:
        self.compute = 0.0
        self.worked = 0.0
        self.wait = 0.0
        self.queued = 0.0
        self._began = time.perf_counter()

    def as_json(self) -> dict[str, float]:
        """The parts, and ``total``."""
        total = time.perf_counter() - self._began
        parts = {"compute": self.compute, "worked": self.worked, "wait": self.wait, "queued": self.queued}
        return {**parts, "total": total}


class Order(NamedTuple):
    """What a request asks for: a burst's length, and the least that it takes in all, both in seconds."""

    burst: float
    total: float


def order(burst: str | None, total: str | None) -> Order:
    """Out of the query string, in ms: ``?burst=3&total=300``."""
    return Order(float(burst or 3) / 1000, float(total or 300) / 1000)


def spin(seconds: float) -> None:
    """Compute for so long."""
    end = time.perf_counter() + seconds
    number = 1
    while time.perf_counter() < end:
        number = number * 31 % 1_000_003


def own_compute(seconds: float, truth: Truth) -> None:
    """A burst of the profiled request."""
    began, used = time.perf_counter(), time.thread_time()
    spin(seconds)
    truth.compute += time.perf_counter() - began
    truth.worked += time.thread_time() - used


def own_wait(seconds: float, truth: Truth) -> None:
    """The profiled request waits, on its thread."""
    began = time.perf_counter()
    time.sleep(seconds)
    truth.wait += time.perf_counter() - began


async def own_wait_async(seconds: float, truth: Truth) -> None:
    """The profiled request waits, suspended."""
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    waited = time.perf_counter() - began
    truth.wait += waited
    truth.queued += max(waited - seconds - FREE_LOOP, 0.0)


def own_work(asked: Order) -> dict[str, float]:
    """The profiled endpoint, on a thread."""
    truth = Truth()
    end = time.perf_counter() + asked.total
    while time.perf_counter() < end:
        own_compute(asked.burst, truth)
        own_wait(asked.burst * (1 - COMPUTING) / COMPUTING, truth)
    return truth.as_json()


async def own_work_async(asked: Order) -> dict[str, float]:
    """The profiled endpoint, in a task."""
    truth = Truth()
    end = time.perf_counter() + asked.total
    while time.perf_counter() < end:
        own_compute(asked.burst, truth)
        await own_wait_async(asked.burst * (1 - COMPUTING) / COMPUTING, truth)
    return truth.as_json()


def other_compute(seconds: float) -> None:
    """A burst of a request that is not profiled."""
    spin(seconds)


def other_work(asked: Order) -> dict[str, float]:
    """The endpoint beside it, on a thread: it mostly waits."""
    end = time.perf_counter() + asked.total
    while time.perf_counter() < end:
        other_compute(asked.burst)
        time.sleep(asked.burst * 15)
    return {}


async def other_work_async(asked: Order) -> dict[str, float]:
    """The endpoint beside it, in a task: it mostly waits."""
    end = time.perf_counter() + asked.total
    other_compute(asked.burst)
    while time.perf_counter() < end:
        await asyncio.sleep(asked.burst * 15)
        other_compute(asked.burst)
    return {}
