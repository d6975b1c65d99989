"""What one sample costs the sampler's thread, in processor time: ``python -m bench.sample_cost thread 20 40``

A process of its own, with so many threads or tasks alive, each a request at that depth of stack; one is sampled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from swprof_mw.clock import monotonic_ns
from swprof_mw.profiling.execution import ProfileTaskExecutionContext
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.profiling.observer import Observer
from swprof_mw.profiling.profiler import ProfiledSpan, SegmentProfiler
from swprof_mw.profiling.sampler import Sampler, SamplerSettings
from swprof_mw.profiling.stacks import Stacks
from swprof_mw.profiling.task import ProfileTask

LOOKS = 300
#: Of ``LOOKS``, those before the caches are filled.
WARMING = 20
PERIOD_MS = 10
#: A look wakes so late, ns, if nobody holds the GIL.
LATE = 80_000


@dataclass(frozen=True)
class Cost:
    """Processor time of a sample, µs.

    Attributes:
        first_of_all: of the process's very first sample: much is found out only once.
        first: of another request's first one.
        median, most: of the later ones.
        clocks: what reading the threads' clocks takes, which is left out of the above.
    """

    first_of_all: float
    first: float
    median: float
    most: float
    clocks: float


class Requests:
    """So many requests that wait, each on a thread or in a task of its own, at a depth of stack."""

    def __init__(self, kind: str, count: int, depth: int) -> None:
        self.spans: list[ProfiledSpan] = []
        self._depth = depth
        self._count = count
        self._stop = threading.Event()
        if kind == "thread":
            for _ in range(count):
                threading.Thread(target=self._on_thread, daemon=True).start()
        else:
            threading.Thread(target=lambda: asyncio.run(self._tasks()), daemon=True).start()
        while len(self.spans) < count:
            time.sleep(0.01)
        time.sleep(0.2)

    def _on_thread(self) -> None:
        span = ProfiledSpan("segment")
        span.enter(sys._getframe())
        current_request.set(span)
        self.spans.append(span)
        _deep(self._depth - 2, self._stop.wait)

    async def _tasks(self) -> None:
        await asyncio.gather(*(self._in_task() for _ in range(self._count)))

    async def _in_task(self) -> None:
        span = ProfiledSpan("segment")
        span.enter_task(sys._getframe(), asyncio.current_task(), asyncio.get_running_loop())
        current_request.set(span)
        self.spans.append(span)
        await _deep_async(self._depth - 1)


def _deep(depth: int, last: Callable[[], object]) -> None:
    if depth:
        _deep(depth - 1, last)
    else:
        last()


async def _deep_async(depth: int) -> None:
    if depth:
        await _deep_async(depth - 1)
    else:
        await asyncio.sleep(3_600)


def measure(kind: str, count: int, depth: int, pause: float) -> Cost:
    """Look at one of ``count`` requests ``LOOKS`` times, with so many seconds between, and then at another one."""
    requests = Requests(kind, count, depth)
    observer = Observer(Stacks("short", 500, mark_waiting=True), mark_waiting=True)
    task = ProfileTask("task", "serial", "/x", 1, 0, PERIOD_MS, 1, 0, 0)
    context = ProfileTaskExecutionContext(task, Sampler(SamplerSettings(), lambda _: True), 0, 1 << 62)
    clocks = _timed_clocks()

    def look(profiler: SegmentProfiler) -> float:
        clocks.clear()
        profiler.due = monotonic_ns() - LATE
        began = time.thread_time_ns()
        observer.glance([profiler])
        [seen] = observer.observe([profiler])
        used = time.thread_time_ns() - began
        assert seen.stack is not None
        assert len(seen.stack) >= depth, f"{len(seen.stack)} frames are seen"
        time.sleep(pause)
        return (used - sum(clocks)) / 1000

    one, other = (SegmentProfiler(context, span) for span in (requests.spans[count // 2], requests.spans[-1]))
    costs = [look(one) for _ in range(LOOKS)]
    spent = sum(clocks) / 1000
    later = costs[WARMING:]
    return Cost(costs[0], look(other), statistics.median(later), max(later), spent)


def _timed_clocks() -> list[int]:
    """What each reading of a thread's clock takes from now on, ns."""
    read, found = time.clock_gettime_ns, list[int]()

    def timed(clock: int) -> int:
        began = time.thread_time_ns()
        used = read(clock)
        found.append(time.thread_time_ns() - began)
        return used

    time.clock_gettime_ns = timed
    return found


def main() -> None:
    """Print the cost as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["thread", "task"])
    parser.add_argument("count", type=int, help="threads or tasks alive")
    parser.add_argument("depth", type=int, help="code signatures of a stack")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two looks (%(default)s)")
    chosen = parser.parse_args()
    print(json.dumps(asdict(measure(chosen.kind, chosen.count, chosen.depth, chosen.pause))))


if __name__ == "__main__":
    main()
