"""One measurement of accuracy: a server, a profiled request with others beside it, and what the snapshots say."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from bench.cases import Case
from swprof_mw.collector.analysis import Stretch, analyze
from swprof_mw.collector.records import Segment, Snapshot
from swprof_mw.collector.server import Collector
from swprof_mw.query.client import OapClient
from tests import servers
from tests.load import get
from tests.trees import elements, function_time, marked_time
from tests.waiting import endpoints_listed, eventually, fetched

ROOT = Path(__file__).resolve().parent.parent
PERIOD = 10


@dataclass
class Measured:
    """What the snapshots of profiled requests say, beside the truth. Add them up for several requests.

    Attributes:
        expected: ticks in the request's duration.
        taken: ticks with a snapshot.
        own: of those, with a function of the request itself.
        foreign: with a function of another request.
        outside: not between the request's start and end.
        trees: in the analysis.
        duration: of the request, ms.
        compute, wait: ms as a person reads them: of the function that computes, and of ``[waiting]`` and ``[queued]``.
        true_compute, true_wait: the same by the app's own clocks: how long it was in that function, and how long it had
            no processor.
    """

    expected: int = 0
    taken: int = 0
    own: int = 0
    foreign: int = 0
    outside: int = 0
    trees: int = 0
    duration: float = 0.0
    compute: float = 0.0
    wait: float = 0.0
    true_compute: float = 0.0
    true_wait: float = 0.0

    def __add__(self, other: Measured) -> Measured:
        both = zip(astuple(self), astuple(other), strict=True)
        return replace(Measured(*(one + more for one, more in both)), trees=max(self.trees, other.trees))


@contextlib.contextmanager
def serving(
    case: Case, backend: str, python: str, threads: int = 8, service: str = "bench"
) -> Iterator[servers.Server]:
    """The case's app under its server, with so many threads where it has them; it reports to that address."""
    environment = {
        "SW_AGENT_NAME": service,
        "SW_AGENT_COLLECTOR_BACKEND_SERVICES": backend,
        "SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL": "0.2",
        "PYTHONPATH": str(ROOT),
    }
    path = f"{case.own}?total=1"
    with servers.start(
        case.server, case.target, environment, ROOT, path=path, threads=threads, python=python
    ) as server:
        yield server


class Beside:
    """Requests to the other endpoint, some at once, for as long as this is entered."""

    def __init__(self, url: str, count: int) -> None:
        self._url = url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]

    def _ask(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError):
                get(self._url)

    def __enter__(self) -> Beside:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@dataclass(frozen=True)
class Answer:
    """One answered request of the profiled endpoint: when (ms since the epoch), and what it says of itself."""

    sent: float
    received: float
    truth: dict[str, float]


def measure(
    case: Case, collector: Collector, server: servers.Server, bursts: Sequence[float], total: float, beside: int = 4
) -> list[Measured]:
    """Profile one request for each of ``bursts``, one after the other, with ``beside`` others at any time.

    Args:
        bursts: of computing, ms, at most 9 of them.
        total: length of each request, ms.
    """
    task_id = profile(case, collector, samples=len(bursts))
    with Beside(f"{server.url}{case.other}?burst=1&total=200", beside):
        answers = [ask(f"{server.url}{case.own}?burst={burst}&total={total}") for burst in bursts]
    segments = profiled(collector, task_id, len(bursts))
    return [
        evaluate(segment, collector.store.snapshots(segment.segment_id), answer.truth)
        for segment, answer in zip(segments, answers, strict=True)
    ]


def profile(case: Case, collector: Collector, samples: int) -> str:
    """Create a task for the case's endpoint; returns its id once the app carries it out."""
    client = OapClient(collector.url)
    endpoints_listed(client, "bench", case.own)
    task_id = client.create_task("bench", case.own, samples=samples, period=PERIOD)
    fetched(client, {task_id: "bench"})
    return task_id


def profiled(collector: Collector, task_id: str, count: int) -> list[Segment]:
    """The segments of the task's requests, in the order of their start, once all of them and their snapshots came."""
    client = OapClient(collector.url)
    eventually(lambda: len(collector.store.profiled(task_id)) == count, "every request is profiled", timeout=10)
    # The end of the task is told after the last snapshot.
    eventually(lambda: any(task.finished for task in client.tasks("bench") if task.id == task_id), "the task ended")
    return sorted(collector.store.profiled(task_id), key=lambda segment: segment.start)


def ask(url: str) -> Answer:
    """Request the profiled endpoint."""
    sent = time.time() * 1000
    status, _, body = get(url)
    assert status == 200, body
    return Answer(sent, time.time() * 1000, json.loads(body))


def evaluate(segment: Segment, snapshots: Sequence[Snapshot], truth: dict[str, float]) -> Measured:
    """Hold one request's snapshots against what is known of it."""
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.sequence)
    start, end = segment.start, segment.start + segment.duration
    ticks = sampled(ordered, end)
    strangers = [one for one in ordered if any(".other_" in signature for signature in one.stack)]
    trees = [elements(tree) for tree in analyze([Stretch(ordered, start, end)]).trees]
    return Measured(
        expected=segment.duration // PERIOD,
        taken=len(ticks),
        own=sum(any(".own_" in signature for signature in one.stack) for one in ticks),
        foreign=len(strangers),
        outside=sum(not start <= one.time <= end for one in ordered),
        trees=len(trees),
        duration=segment.duration,
        compute=function_time(trees, "own_compute"),
        wait=marked_time(trees),
        true_compute=truth["compute"] / truth["total"] * segment.duration,
        true_wait=(1 - truth["worked"] / truth["total"]) * segment.duration,
    )


def sampled(ordered: Sequence[Snapshot], end: int) -> list[Snapshot]:
    """The snapshots that are samples: not those that close a run with the time of the next one, or of the end."""
    found = []
    for one, following in itertools.zip_longest(ordered, ordered[1:]):
        closes = following is not None and following.time == one.time and following.stack != one.stack
        if not closes and not (following is None and one.time == end):
            found.append(one)
    return found
