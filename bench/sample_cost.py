"""What one sample costs the sampler's thread, in processor time, text included: ``python -m bench.sample_cost``

Each row is a process of its own, with so many threads or tasks alive, each a request that waits at that depth of stack,
in functions of twenty files; one is sampled. Beside it stands a walk as SkyWalking's agent has made since 2021: all
frames of a thread by ``traceback.extract_stack``, with their lines of source, and a text made of each. Exit status 1 if
a promise is not kept.
``python -m bench.sample_cost thread 20 60`` measures a single row, in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import functools
import importlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from unittest import mock

from bench.environments import environment
from bench.partner import ROOT
from bench.peers.running import PYTHON
from swprof_mw.clock import monotonic_ns
from swprof_mw.profiling.execution import ProfileTaskExecutionContext
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.profiling.observer import Observer
from swprof_mw.profiling.profiler import ProfiledSpan, SegmentProfiler
from swprof_mw.profiling.sampler import Sampler
from swprof_mw.profiling.sampler_settings import SamplerSettings
from swprof_mw.profiling.stacks import Stacks
from swprof_mw.profiling.task import ProfileTask
from tests.doubles import PlainSpan

LOOKS = 300
#: Of ``LOOKS``, those before the caches are filled.
WARMING = 20
PERIOD_MS = 10
#: What is measured: depths of stack, and how many threads or tasks are alive.
DEPTHS = (20, 60, 200)
ALIVE = {"thread": (1, 20, 200), "task": (20, 1_000, 10_000)}
#: That the functions of a stack are in, as those of a framework and an app are.
FILES = 20
#: At a depth, the most that a sample takes in the time of a walk.
MOST_OF_WALK = {60: 0.1}
#: A look wakes so late, ns, if nobody holds the GIL.
LATE = 80_000


@dataclass(frozen=True)
class Cost:
    """Processor time of a sample, µs.

    Attributes:
        first_of_all: of the process's very first sample: much is found out only once.
        first: of another request's first one.
        median, mean, most: of the later ones; now and then one searches anew.
        clocks: the part of the median that reading the threads' clocks takes: system calls.
        walk: of a thread at that depth, as of 2021; the median.
    """

    first_of_all: float
    first: float
    median: float
    mean: float
    most: float
    clocks: float
    walk: float


class Requests:
    """So many requests that wait, each on a thread or in a task of its own, at a depth of stack."""

    def __init__(self, kind: str, count: int, depth: int) -> None:
        self.spans: list[ProfiledSpan] = []
        self._depth = depth
        self._count = count
        self._stop = threading.Event()
        self._files = _files()
        if kind == "thread":
            for _ in range(count):
                threading.Thread(target=self._on_thread, daemon=True).start()
        else:
            threading.Thread(target=lambda: asyncio.run(self._tasks()), daemon=True).start()
        while len(self.spans) < count:
            time.sleep(0.01)
        time.sleep(0.2)

    def _on_thread(self) -> None:
        span = PlainSpan("segment")
        span.enter(sys._getframe())
        current_request.set(span)
        self.spans.append(span)
        self._files[0].deep(self._depth - 2, self._stop.wait, self._files)

    async def _tasks(self) -> None:
        await asyncio.gather(*(self._in_task() for _ in range(self._count)))

    async def _in_task(self) -> None:
        span = PlainSpan("segment")
        span.enter_task(sys._getframe(), asyncio.current_task(), asyncio.get_running_loop())
        current_request.set(span)
        self.spans.append(span)
        await self._files[0].deep_async(self._depth - 2, lambda: asyncio.sleep(3_600), self._files)


#: A file of the stack. Each function calls that of the next file.
_SOURCE = """
def deep(depth, last, files):
    if depth:
        files[depth % len(files)].deep(depth - 1, last, files)
    else:
        last()


async def deep_async(depth, last, files):
    if depth:
        await files[depth % len(files)].deep_async(depth - 1, last, files)
    else:
        await last()
"""


@functools.cache
def _files() -> list[ModuleType]:
    directory = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, directory)
    sys.path.insert(0, directory)
    names = [f"frames_{number}" for number in range(FILES)]
    for name in names:
        Path(directory, f"{name}.py").write_text(_SOURCE)
    return [importlib.import_module(name) for name in names]


def measure(kind: str, count: int, depth: int, pause: float) -> Cost:
    """Look at one of ``count`` requests ``LOOKS`` times, with so many seconds between, and then at another one."""
    requests = Requests(kind, count, depth)
    observer = Observer(Stacks("short", 500, mark_waiting=True), mark_waiting=True)
    task = ProfileTask("task", "serial", "/x", 1, 0, PERIOD_MS, 1, 0, 0)
    context = ProfileTaskExecutionContext(task, Sampler(SamplerSettings(), lambda _: True), 0, 1 << 62)

    def look(profiler: SegmentProfiler) -> float:
        profiler.due = monotonic_ns() - LATE
        began = time.thread_time_ns()
        observer.glance([profiler])
        [seen] = observer.observe([profiler])
        used = time.thread_time_ns() - began
        assert seen.stack is not None
        assert len(seen.stack) >= depth, f"{len(seen.stack)} frames are seen"
        _pass(pause)
        return used / 1000

    one, other = (SegmentProfiler(context, span) for span in (requests.spans[count // 2], requests.spans[-1]))
    costs = [look(one) for _ in range(LOOKS)]
    later, first = costs[WARMING:], look(other)
    spent = _clocks(lambda: look(one))
    walk = _walk(depth, pause)
    return Cost(costs[0], first, statistics.median(later), statistics.fmean(later), max(later), spent, walk)


def _walk(depth: int, pause: float) -> float:
    """What the walk of 2021 takes at that depth, µs; the median. Between two of them as much time passes."""
    [span] = Requests("thread", 1, depth).spans
    costs = []
    for _ in range(LOOKS):
        began = time.thread_time_ns()
        frame = sys._current_frames()[span.thread_id]
        stack = [f"{line.filename}.{line.name}: {line.lineno}" for line in traceback.extract_stack(frame)]
        costs.append((time.thread_time_ns() - began) / 1000)
        assert len(stack) >= depth, f"{len(stack)} frames are seen"
        _pass(pause)
    return statistics.median(costs[WARMING:])


def _pass(seconds: float) -> None:
    """So much time; none at all without a call of the system."""
    if seconds:
        time.sleep(seconds)


def _clocks(look: Callable[[], object]) -> float:
    """What reading the threads' clocks takes in a look, µs; the median of some looks."""
    read, counts, clocks = time.clock_gettime_ns, list[int](), list[int]()

    def counted(clock: int) -> int:
        clocks.append(clock)
        return read(clock)

    with mock.patch("time.clock_gettime_ns", counted):
        for _ in range(WARMING):
            clocks.clear()
            look()
            counts.append(len(clocks))
    if not clocks:
        return 0.0
    began = time.thread_time_ns()
    for _ in range(LOOKS):
        read(clocks[0])
    return statistics.median(counts) * (time.thread_time_ns() - began) / LOOKS / 1000


def measured(kind: str, count: int, depth: int) -> Cost:
    """The same in a process of its own."""
    command = [environment(PYTHON), "-m", "bench.sample_cost", kind, str(count), str(depth)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def table(repeat: int) -> list[str]:
    """Print the table; what is not kept of the promises."""
    broken = []
    titles = {"depth": 8, "a sample, µs": 15, "mean, µs": 11, "walk of 2021, µs": 20, "ratio": 8, "first, µs": 12}
    print(f"{'alive':>12}" + "".join(f"{title:>{width}}" for title, width in titles.items()))
    for kind, counts in ALIVE.items():
        for count in counts:
            for depth in DEPTHS:
                costs = [measured(kind, count, depth) for _ in range(repeat)]
                sample, mean, walk, first = (
                    statistics.median(getattr(cost, name) for cost in costs)
                    for name in ("median", "mean", "walk", "first")
                )
                ratio = statistics.median(cost.median / cost.walk for cost in costs)
                name, part = f"{count} {kind}s", f"1/{1 / ratio:.1f}"
                print(
                    f"{name:>12}{depth:>8}{sample:>15.1f}{mean:>11.1f}{walk:>20.1f}{part:>8}{first:>12.0f}", flush=True
                )
                if ratio > MOST_OF_WALK.get(depth, 1.0):
                    broken.append(f"{name}, depth {depth}: 1/{1 / ratio:.1f} of the walk of 2021")
    return broken


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or the cost of one row as JSON. 0 if the promises are kept, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", nargs="?", choices=list(ALIVE), help="by default, the whole table")
    parser.add_argument("count", nargs="?", type=int, default=1, help="threads or tasks alive (%(default)s)")
    parser.add_argument("depth", nargs="?", type=int, default=60, help="code signatures of a stack (%(default)s)")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two looks (%(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="processes for a row of the table (%(default)s)")
    chosen = parser.parse_args(arguments)
    if chosen.kind:
        print(json.dumps(asdict(measure(chosen.kind, chosen.count, chosen.depth, chosen.pause))))
        return 0
    broken = table(chosen.repeat)
    print(*broken, sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
