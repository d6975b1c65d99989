"""What the collector's store carries: ``python -m bench.collector_load``, exit status 1 where it is too slow.

Four parts. ``load``: agents send for a minute into a collector with a file, none of it may be lost, and the queries of
the page are answered meanwhile; ``memory``: the same without a file. ``million``: the same queries where a million
snapshots are kept. ``profile``: large profiles are analysed.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc

from swprof_mw.collector.records import Segment, Snapshot, Span, Stack, Task
from swprof_mw.collector.store import Store
from swprof_mw.query.client import OapClient
from swprof_mw.query.profiles import EVER
from tests.test_collector import Agent

AGENTS = 20
#: Snapshots a second of all agents together; each sends what it has so many times a second.
RATE, SENDS = 2_000, 2
#: Of each request that is profiled.
SNAPSHOTS = 100
#: The 95th percentile of the queries under load, the slowest with a million snapshots, a large analysis: ms.
UNDER_LOAD, WITH_A_MILLION, ANALYSIS = 200.0, 500.0, 2_000.0
#: An analysis looks at so many snapshots of a request.
LOOKED_AT = 12_000
FRAMES = 5_000
SERVICE = "shop"
DAY = 86_400_000

_CHANCE = random.Random(11)


def stacks(count: int, frames: int = FRAMES) -> list[Stack]:
    """So many different stacks of 20 to 50 out of so many frames."""
    texts = [f"/srv/shop/package_{number % 40}/module.py:function_{number}:{number}" for number in range(frames)]
    made = []
    for number in range(count):
        below = number * 30 % (frames - 60)
        made.append(("/e", *texts[:10], *texts[below + 10 : below + 20 + _CHANCE.randrange(30)]))
    return made


def segment(number: int, identifier: str, start: int) -> Segment:
    """A request of one of twenty instances, with three spans."""
    tags = (("http.method", "GET"), ("http.status_code", "200"), ("http.url", f"http://shop.example/e/{number}"))
    spans = (
        Span(0, -1, start, start + 1_000, f"/e{number % 50}", "Entry", "Http", "", "Flask", tags=tags),
        Span(1, 0, start + 10, start + 20, "SELECT", "Exit", "Database", "db:5432"),
        Span(2, 0, start + 30, start + 90, "render", "Local", "Unknown"),
    )
    return Segment(f"trace-{identifier}", identifier, SERVICE, f"instance-{number % AGENTS}", spans)


# The queries of the page


def queries(task: str, segments: Sequence[str], now: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """What the page asks, by the field's name: the query and its variables."""
    service = "c2hvcA==.1"
    span = {"step": "DAY", **{end: time.strftime("%Y-%m-%d", time.localtime(now / 1000)) for end in ("start", "end")}}
    stretches = [{"segmentId": one, "timeRange": {"start": 0, "end": now + DAY}} for one in segments]
    condition = {
        "queryDuration": span,
        "traceState": "ALL",
        "queryOrder": "BY_DURATION",
        "paging": {"pageNum": 1, "pageSize": 20},
        "serviceId": service,
    }
    return {
        "listServices": ("{listServices{id name}}", {}),
        "listInstances": (
            "query($d: Duration!, $s: ID!){listInstances(duration: $d, serviceId: $s){id name attributes{name value}}}",
            {"d": span, "s": service},
        ),
        "findEndpoint": ("query($s: ID!){findEndpoint(serviceId: $s, limit: 100){id name}}", {"s": service}),
        "getProfileTaskList": ("{getProfileTaskList{id endpointName startTime logs{operationType instanceName}}}", {}),
        "getProfileTaskLogs": ("query($t: String){getProfileTaskLogs(taskID: $t){id operationType}}", {"t": task}),
        "getProfileTaskSegments": (
            "query($t: ID!){getProfileTaskSegments(taskID: $t){traceId duration spans{spanId segmentId endpointName}}}",
            {"t": task},
        ),
        "getSegmentsProfileAnalyze": (
            "query($q: [SegmentProfileAnalyzeQuery!]!){getSegmentsProfileAnalyze(queries: $q){tip"
            " trees{elements{id parentId codeSignature duration durationChildExcluded count}}}}",
            {"q": stretches},
        ),
        "queryBasicTraces": (
            "query($c: TraceQueryCondition){queryBasicTraces(condition: $c){traces{segmentId duration}}}",
            {"c": condition},
        ),
    }


def timed(client: OapClient, query: tuple[str, dict[str, Any]]) -> tuple[float, Any]:
    """Ms that a query takes, and its data."""
    begun = time.perf_counter()
    answer = client.query(query[0], **query[1])
    return (time.perf_counter() - begun) * 1000, answer


@contextlib.contextmanager
def collector(path: Path | None, *options: str) -> Iterator[tuple[OapClient, str]]:
    """A collector in a process of its own, with a file or in memory; its client and where agents send to."""
    command = [sys.executable, "-m", "swprof_mw", "collector", "--grpc-port", "0", "--http-port", "0"]
    store = ["--store", str(path)] if path else []
    with subprocess.Popen([*command, *store, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            backend = process.stdout.readline().split()[1]
            yield OapClient(process.stdout.readline().split()[1].removesuffix("/graphql")), backend
        finally:
            process.terminate()


# Under load


def send(backend: str, task: str, seconds: float, late: Any) -> None:
    """All agents, in a process of their own; ``late`` gets the seconds by which the slowest was behind."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AGENTS) as pool, grpc.insecure_channel(backend) as channel:
        late.put(max(pool.map(lambda number: _agent(channel, task, seconds, number), range(AGENTS))))


def _agent(channel: grpc.Channel, task: str, seconds: float, number: int) -> float:
    agent = Agent(channel, SERVICE, f"instance-{number}")
    chosen = [list(stack) for stack in stacks(200)]
    each, slowest = RATE // AGENTS // SENDS, 0.0
    begun = time.monotonic() + number / AGENTS / SENDS
    for turn in range(int(seconds * SENDS)):
        time.sleep(max(0.0, begun + turn / SENDS - time.monotonic()))
        now = time.time_ns() // 1_000_000
        identifier = f"{number}-{turn}"
        agent.snapshots(task, identifier, [(one, now + one, chosen[(turn + one // 5) % 200]) for one in range(each)])
        sent = agent.segment(agent.span(now, now + each, "/e"))
        sent.traceSegmentId = identifier
        agent.send(sent)
        slowest = max(slowest, time.monotonic() - begun - turn / SENDS)
    return slowest


def load(path: Path | None, seconds: float) -> bool:
    """Whether nothing is lost and queries are answered in time while agents send."""
    took: list[float] = []
    context = multiprocessing.get_context("spawn")
    late: Any = context.Queue()
    with collector(path) as (client, backend):
        with grpc.insecure_channel(backend) as channel:
            Agent(channel, SERVICE).request(0, 1)
        task = client.create_task(SERVICE, "/e")
        agents = context.Process(target=send, args=(backend, task, seconds, late))
        agents.start()
        begun = time.monotonic()
        for turn in itertools.count():
            if not agents.is_alive():
                break
            known = [f"{turn % AGENTS}-{max(0, int((time.monotonic() - begun) * SENDS) - 10)}"]
            for query in queries(task, known, time.time_ns() // 1_000_000).values():
                took.append(timed(client, query)[0])
                time.sleep(0.02)
        agents.join()
        kept = 0 if path else _shown(client, task)
    if path:
        with contextlib.closing(Store(str(path))) as store:
            kept = sum(len(store.snapshots(one.segment_id)) for one in store.profiled(task))
    sent = int(seconds * SENDS) * (RATE // SENDS)
    took.sort()
    p95 = took[math.ceil(0.95 * len(took)) - 1]
    print(f"{'load' if path else 'memory'}: {kept} of {sent} snapshots in {seconds:g} s,", end=" ")
    print(f"agents at most {late.get():.2f} s behind;", end=" ")
    print(f"{len(took)} queries, median {took[len(took) // 2]:.0f} ms, p95 {p95:.0f} ms, slowest {took[-1]:.0f} ms")
    return kept == sent and p95 < UNDER_LOAD


def _shown(client: OapClient, task: str) -> int:
    """The snapshots of all requests that a task has profiled."""
    found = {request.spans[0].segment_id for request in client.segments(task)}
    trees = (tree for one in found for tree in client.analyze(one, 0, EVER)[1])
    return sum(tree[0].count for tree in trees)


# With a million snapshots


def fill(path: Path, count: int) -> tuple[str, list[str], int]:
    """Keep so many snapshots, and as many requests beside the profiled ones; the newest task, its segments, now."""
    now = time.time_ns() // 1_000_000
    chosen, tasks = stacks(2_000), []
    with contextlib.closing(Store(str(path))) as store:
        for number in range(math.ceil(count / SNAPSHOTS / 180)):
            task = store.add_task(Task("c2hvcA==.1", "/e1", now - number * 1_800_000, 5, 0, 10, 9, now - 10_000))
            assert task is not None
            tasks.append(task.id)
        last: list[str] = []
        begun = time.perf_counter()
        for number in range(count // SNAPSHOTS):
            _keep(store, tasks[number // 180], number, now - number, chosen)
            last = [*last, str(number)] if number // 180 == len(tasks) - 1 else last
        seconds = time.perf_counter() - begun
    size = path.stat().st_size
    print(f"million: {count} snapshots of {count // SNAPSHOTS} requests in {seconds:.0f} s, a file of {size >> 20} MiB")
    return tasks[-1], last, now


def _keep(store: Store, task: str, number: int, now: int, chosen: list[Stack]) -> None:
    with store.acknowledged():
        store.add_segment(segment(number, str(number), now), now)
        store.add_segment(segment(number, f"plain-{number}", now), now)
        for one in range(SNAPSHOTS):
            stack = chosen[(number * 7 + one // 4) % len(chosen)]
            store.add_snapshot(Snapshot(task, str(number), now + 10 * one, one, stack))


def million(path: Path, count: int) -> bool:
    """Whether each query is answered in time where so many snapshots are kept."""
    task, segments, now = fill(path, count)
    good = True
    with collector(path) as (client, _):
        for name, query in queries(task, segments[:20], now).items():
            took = sorted(timed(client, query)[0] for _ in range(10))
            good = good and took[-1] < WITH_A_MILLION
            print(f"million: {name:<28} median {took[5]:6.1f} ms, slowest {took[-1]:6.1f} ms")
    return good


# Large profiles


def profile(path: Path, count: int) -> bool:
    """Whether a profile of so many snapshots is analysed in time: of one request, and of several."""
    chosen = stacks(count // 20)
    several = math.ceil(count / LOOKED_AT)
    sizes = [("one", [count]), (f"{several}", [count // several] * several)]
    with contextlib.closing(Store(str(path))) as store, store.acknowledged():
        for name, (number, size) in ((name, each) for name, found in sizes for each in enumerate(found)):
            for one in range(size):
                stack = chosen[(number * 17 + one // 4) % len(chosen)]
                store.add_snapshot(Snapshot("t", f"{name}-{number}", 10 * one, number * size + one, stack))
    good = True
    with collector(path) as (client, _):
        for name, found in sizes:
            asked = queries("t", [f"{name}-{number}" for number in range(len(found))], 10 * DAY)
            answers = [timed(client, asked["getSegmentsProfileAnalyze"]) for _ in range(3)]
            took, answer = sorted(answers, key=lambda pair: pair[0])[1]
            trees = answer["getSegmentsProfileAnalyze"]["trees"]
            elements = [one for tree in trees for one in tree["elements"]]
            frames = len({one["codeSignature"] for one in elements})
            print(f"profile: {sum(found)} snapshots of {name} request(s) analysed in {took:.0f} ms:", end=" ")
            print(f"{len(elements)} elements of {frames} frames")
            good = good and took < ANALYSIS
    return good


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 1 if one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", default=["load", "memory", "million", "profile"])
    parser.add_argument("--seconds", type=float, default=60.0, help="of load")
    parser.add_argument("--snapshots", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    parts: dict[str, Callable[[Path], bool]] = {
        "load": lambda path: load(path, options.seconds),
        "memory": lambda _: load(None, options.seconds),
        "million": lambda path: million(path, options.snapshots),
        "profile": lambda path: profile(path, options.snapshots // 10),
    }
    with tempfile.TemporaryDirectory() as directory:
        missed = [name for name in options.parts if not parts[name](Path(directory) / f"{name}.db")]
    print(f"missed: {', '.join(missed)}" if missed else "all within what is asked for")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
