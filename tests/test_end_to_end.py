"""The main job: an example app, a task created by GraphQL, and a profile that tells the truth. For both engines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from operator import attrgetter

import pytest

from swprof_mw.collector.server import Collector
from swprof_mw.query.client import OapClient, Request
from tests.examples import EXAMPLES, PARTS, Example, Orders, running, show_endpoints
from tests.oap.server import OapServer
from tests.servers import Server
from tests.trees import function_time
from tests.waiting import eventually, fetched

pytestmark = [pytest.mark.alone, pytest.mark.profiles]

SAMPLES = 6
#: So many of them have to tell the truth; of the others, a machine that is busy with others may have kept a part.
TRUE = 3
#: A function's share of its request may differ from its true one by so much.
TOLERANCE = 0.10
COVERED = 0.95
SERVICE = attrgetter("service")


@dataclass(frozen=True)
class Profiling:
    """An example that runs and carries a task out."""

    example: Example
    server: Server
    client: OapClient
    task_id: str


@contextmanager
def profiling(examples: Sequence[Example], backend: str, url: str) -> Iterator[list[Profiling]]:
    """From the first visit to the task, as a person would go. A backend takes its time: all wait for it together."""
    client = OapClient(url)
    with ExitStack() as stack:
        servers = [stack.enter_context(running(example, backend)) for example in examples]
        started = []
        for example, server in zip(examples, servers, strict=True):
            show_endpoints(example, server, client)
            task_id = client.create_task(example.service, example.endpoint, samples=SAMPLES, period=10, duration=5)
            started.append(Profiling(example, server, client, task_id))
        fetched(client, {one.task_id: one.example.service for one in started})
        yield started


@pytest.mark.parametrize("example", EXAMPLES, ids=SERVICE)
def test_collector_shows_where_the_time_goes(example: Example) -> None:
    with (
        Collector(grpc_port=0, http_port=0) as collector,
        profiling([example], collector.backend, collector.url) as [started],
    ):
        check(started)


@pytest.fixture(scope="module")
def over_oap(oap: OapServer) -> Iterator[dict[Example, Profiling]]:
    """All examples, over a real OAP."""
    with profiling(EXAMPLES, oap.grpc_address, oap.url) as started:
        yield {one.example: one for one in started}


@pytest.mark.oap
@pytest.mark.parametrize("example", EXAMPLES, ids=SERVICE)
def test_real_oap_shows_where_the_time_goes(example: Example, over_oap: dict[Example, Profiling]) -> None:
    check(over_oap[example])


def check(profiling: Profiling) -> None:
    """From the task to the tree."""
    example, client, task_id = profiling.example, profiling.client, profiling.task_id
    with Orders(profiling.server) as orders:
        eventually(lambda: len(client.segments(task_id)) >= SAMPLES, "requests are profiled")
    finished = eventually(lambda: _finished(client, example, task_id), "the task has ended", timeout=20)
    requests = client.segments(task_id)
    assert len(requests) == SAMPLES, "exactly as many as the task asked for"
    assert finished == {request.instance for request in requests}
    wrong = [differences(client, example, request, orders) for request in requests]
    assert sum(not one for one in wrong) >= TRUE, wrong


def _finished(client: OapClient, example: Example, task_id: str) -> frozenset[str]:
    task = next(task for task in client.tasks(example.service) if task.id == task_id)
    assert task.notified >= task.finished
    return task.finished


def differences(client: OapClient, example: Example, request: Request, orders: Orders) -> list[str]:
    """What one tree says that the app itself does not: that it covers the request, and how long each part was."""
    span = request.entry
    assert span is not None
    assert span.endpoint == example.endpoint
    truth = orders.answers[span.tags["http.url"]]
    duration = span.end - span.start
    _, trees = client.analyze(span.segment_id, span.start, span.end)
    assert len(trees) == 1, "one tree a request"
    [root] = [element for element in trees[0] if element.parent_id == 0]
    assert root.code_signature == example.endpoint
    found = [f"{root.duration} ms of {duration} are shown"] if root.duration < COVERED * duration else []
    for part in PARTS:
        share, true_share = function_time(trees, part) / duration, truth[part] / truth["total"]
        if abs(share - true_share) > TOLERANCE:
            found.append(f"{part}: {share:.1%} shown, {true_share:.1%} true")
    return found
