"""The milliseconds that the real OAP shows of known work, in bursts, and of waiting and queueing."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import pytest

from bench.cases import CASES, Case
from bench.measure import Answer, ask, serving
from swprof_mw.query.client import Element, OapClient, Request
from tests import servers
from tests.load import get
from tests.oap.server import OapServer
from tests.trees import function_time, marked_time
from tests.waiting import endpoints_listed, eventually, fetched

pytestmark = pytest.mark.alone

#: What is shown may differ from the truth by so much of a request.
TOLERANCE = 0.05
ROUNDS = 3
LENGTH = 3_000
REPEAT = 3
_services = itertools.count(1)


class Wanted(NamedTuple):
    """An app under its server, and how many of its requests are profiled."""

    case: Case
    samples: int


_CASES = {str(case): case for case in CASES}
THREAD = Wanted(_CASES["waitress-flask-sync"], 3 * REPEAT)
TASK = Wanted(_CASES["uvicorn-fastapi-async"], 3 * REPEAT)
QUEUED = Wanted(_CASES["uvicorn-fastapi-async"], 1)


class Profiling:
    """An app that reports to a real OAP as a service of its own."""

    def __init__(self, wanted: Wanted, server: servers.Server, client: OapClient, service: str) -> None:
        self.wanted = wanted
        self.server = server
        self.service = service
        self.task = ""
        self._client = client

    def create(self) -> None:
        """The task, once OAP knows of the app."""
        client, service, endpoint = self._client, self.service, self.wanted.case.own
        endpoints_listed(client, service, endpoint)
        self.task = client.create_task(service, endpoint, samples=self.wanted.samples, period=10, duration=5)

    def ask(self, burst: float) -> Answer:
        """A request that computes for so many ms at a time."""
        return ask(f"{self.server.url}{self.wanted.case.own}?burst={burst}&total={LENGTH}")

    def requests(self) -> list[Request]:
        """All that were profiled, in their order."""
        samples = self.wanted.samples
        found = eventually(lambda: _complete(self._client.segments(self.task), samples), "every request is profiled")
        eventually(lambda: any(one.finished for one in self._client.tasks(self.service)), "the task ended", timeout=20)
        return sorted(found or [], key=_start)

    def trees(self, request: Request) -> list[tuple[Element, ...]]:
        """What OAP shows of a request."""
        span = request.entry
        assert span is not None
        _, trees = self._client.analyze(span.segment_id, span.start, span.end)
        return [tuple(tree) for tree in trees]


def _complete(found: list[Request], count: int) -> list[Request] | None:
    return found if len(found) == count else None


def _start(request: Request) -> int:
    assert request.entry is not None
    return request.entry.start


@contextmanager
def profiling(every: Sequence[Wanted], oap: OapServer) -> Iterator[list[Profiling]]:
    """Apps that carry a task out, each. OAP takes up to twenty seconds for both steps: all wait for it together."""
    client = OapClient(oap.url)
    with ExitStack() as stack:
        apps = [stack.enter_context(reporting(wanted, oap, client)) for wanted in every]
        for app in apps:
            app.create()
        fetched(client, {app.task: app.service for app in apps})
        yield apps


@contextmanager
def reporting(wanted: Wanted, oap: OapServer, client: OapClient) -> Iterator[Profiling]:
    """The app under its server, as a service of its own."""
    service = f"shares-{next(_services)}"
    with serving(wanted.case, oap.grpc_address, sys.executable, service=service) as server:
        yield Profiling(wanted, server, client, service)


@pytest.fixture(scope="module")
def first(oap: OapServer) -> Iterator[dict[Wanted, Profiling]]:
    """The apps of each test's first round; a further one, which is rarely needed, starts its own."""
    with profiling([THREAD, TASK, QUEUED], oap) as apps:
        yield {app.wanted: app for app in apps}


@pytest.mark.oap
@pytest.mark.timeout(300)  # a round takes forty seconds
@pytest.mark.parametrize(("wanted", "bursts"), [(THREAD, (1, 3, 10)), (TASK, (2, 3, 10))], ids=["thread", "task"])
def test_known_work_is_shown_with_its_true_milliseconds(
    wanted: Wanted, bursts: tuple[int, ...], first: dict[Wanted, Profiling], oap: OapServer
) -> None:
    """30 % computing, in bursts of this length, the rest waiting; three requests of each, since chance is at work."""
    # What we get wrong comes again in each round; what other processes do to the machine, does not.
    wrong = [differences(first[wanted], bursts)]
    while wrong[-1] and len(wrong) < ROUNDS:
        with profiling([wanted], oap) as [app]:
            wrong.append(differences(app, bursts))
    assert not wrong[-1], wrong


def differences(app: Profiling, bursts: tuple[int, ...]) -> list[str]:
    """Where what is shown differs by too much from the truth."""
    orders = [burst for burst in bursts for _ in range(REPEAT)]
    answers = [app.ask(burst) for burst in orders]
    shown = [_shares(app.trees(request), request) for request in app.requests()]
    found = []
    for burst in bursts:
        chosen = [at for at, order in enumerate(orders) if order == burst]
        for part in ("computing", "waiting"):
            share = sum(shown[at][part] for at in chosen) / REPEAT
            true = sum(_truth(answers[at])[part] for at in chosen) / REPEAT
            line = f"{app.wanted.case}, bursts of {burst} ms: {part} {share:.1%}, true {true:.1%}"
            print(line)
            found += [line] if abs(share - true) > TOLERANCE else []
    return found


def _shares(trees: list[tuple[Element, ...]], request: Request) -> dict[str, float]:
    assert len(trees) == 1
    span = request.entry
    assert span is not None
    duration = span.end - span.start
    return {"computing": function_time(trees, "own_compute") / duration, "waiting": marked_time(trees) / duration}


def _truth(answer: Answer) -> dict[str, float]:
    truth = answer.truth
    return {"computing": truth["compute"] / truth["total"], "waiting": 1 - truth["worked"] / truth["total"]}


@pytest.mark.oap
def test_a_request_whose_event_loop_is_hogged_by_another_is_shown_as_queued(
    first: dict[Wanted, Profiling], oap: OapServer
) -> None:
    found = [queueing(first[QUEUED])]
    while abs(found[-1][0] - found[-1][1]) > TOLERANCE and len(found) < ROUNDS:
        with profiling([QUEUED], oap) as [app]:
            found.append(queueing(app))
    shown, true = found[-1]
    assert true > 0.3, "the other request hogs the loop"
    assert shown == pytest.approx(true, abs=TOLERANCE), found


def queueing(app: Profiling) -> tuple[float, float]:
    """The share of a request that is shown as queued, and the true one."""
    stop = threading.Event()
    # Each computes for 200 ms without a pause; between them the loop is free for a while.
    hog = threading.Thread(target=_hog, args=(f"{app.server.url}{app.wanted.case.other}?burst=200&total=1", stop))
    hog.start()
    try:
        answer = app.ask(2)
    finally:
        stop.set()
        hog.join()
    [request] = app.requests()
    span = request.entry
    assert span is not None
    shown = marked_time(app.trees(request), ["[queued]"]) / (span.end - span.start)
    return shown, answer.truth["queued"] / answer.truth["total"]


def _hog(url: str, stop: threading.Event) -> None:
    while not stop.wait(0.2):
        get(url)
