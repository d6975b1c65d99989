"""Does anything grow, or get lost, over time? ``make soak``

Ten minutes of a steady load on two servers. Profile tasks come and go, one after the other, and the line to the backend
is refused, cut, and swallows all, again and again. Twice a second the servers say what they hold. At the end this has
to be flat, and every profile complete: exit status 1 if not.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.census import State
from bench.driving import KINDS, Driven, Kind, driven, uncaught
from bench.flat import COLUMNS, faults, row
from bench.steady import Ask, Load
from swprof_mw.query.client import OapClient, Request, TaskRefused
from tests.relay import Relay
from tests.servers import collector
from tests.waiting import eventually

SECONDS = 600.0
SERVERS = ("uvicorn-fastapi", "waitress-flask")
#: Of each server; each client pauses so long after a request, s.
CLIENTS = 8
PAUSE = 1.0
#: How long a request lasts, and its bursts of computing, ms.
TOTAL, BURST = 300, 2
#: A sample is taken so often, s, that each third of them meets each kind of outage while no request is in flight;
#: and so often one is printed.
EVERY = 0.5
PRINTED = 5.0
#: The line is there for so long, s, and then it is not, in one of these ways, for so long.
UP = 12.0
BREAKS: tuple[tuple[str, float], ...] = (("refused", 3.0), ("cut", 5.0), ("swallowed", 6.0), ("refused", 1.0))
#: No task is created when less is left, s: it is to end before the load does.
LAST_TASK = 30.0
#: What is queued is sent, and told, within so many seconds of the end.
SENT_WITHIN = 60.0
COVERED = 0.95
#: A line of the log that is no more than news of the backend.
_NEWS = re.compile(r"swprof_mw: (?!swprof_mw failed in)")


class Variant(NamedTuple):
    """A kind of task: the style of the endpoint, how many requests, ms between samples, ms before the first."""

    style: str
    samples: int
    period: int
    threshold: int


VARIANTS = (
    Variant("sync", 9, 10, 0),
    Variant("async", 5, 20, 0),
    Variant("sync", 4, 10, 100),
    Variant("async", 9, 10, 100),
)


class Flapping:
    """Breaks a line again and again while this is entered.

    Attributes:
        breaks: how often so far.
    """

    def __init__(self, line: Relay) -> None:
        self.breaks = 0
        self._line = line
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Flapping:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._line.open()

    def _run(self) -> None:
        ways: dict[str, Callable[[], None]] = {
            "refused": self._line.refuse,
            "cut": lambda: self._line.cut(after=500),
            "swallowed": self._line.swallow,
        }
        for way, seconds in itertools.cycle(BREAKS):
            if self._over.wait(UP):
                return
            self.breaks += 1
            ways[way]()
            self._over.wait(seconds)
            self._line.open()


class Asked(NamedTuple):
    """A task that was created."""

    id: str
    variant: Variant


@dataclass
class Service:
    """One server, the load on it, its tasks, and what it held, and when (monotonic seconds)."""

    kind: Kind
    app: Driven
    load: Load
    client: OapClient
    tasks: list[Asked] = field(default_factory=list)
    samples: list[State] = field(default_factory=list)

    @property
    def name(self) -> str:
        """In the backend."""
        return str(self.kind)

    def known(self) -> bool:
        """Whether the backend knows it, with the endpoints that are profiled."""
        return self.name in self.client.services() and "/own/async" in self.client.endpoints(self.name)

    def ask(self) -> None:
        """Create the next task, if none is there now: the backend has one at a time."""
        variant = VARIANTS[len(self.tasks) % len(VARIANTS)]
        with contextlib.suppress(TaskRefused):
            task_id = self.client.create_task(
                self.name,
                f"/own/{variant.style}",
                samples=variant.samples,
                period=variant.period,
                min_duration=variant.threshold,
            )
            self.tasks.append(Asked(task_id, variant))

    def incomplete(self) -> list[str]:
        """What is missing of the profiles of its tasks."""
        return [
            f"{self.name}, task {number}: {words}" for number, task in enumerate(self.tasks) for words in self._of(task)
        ]

    def _of(self, asked: Asked) -> Iterator[str]:
        requests = self.client.segments(asked.id)
        if len(requests) != asked.variant.samples:
            yield f"{len(requests)} requests of {asked.variant.samples}"
        [task] = [task for task in self.client.tasks(self.name) if task.id == asked.id]
        if not task.finished:
            yield "its end was not told"
        for request in requests:
            yield from self._of_request(request, asked.variant)

    def _of_request(self, request: Request, variant: Variant) -> Iterator[str]:
        span = request.entry
        if span is None:
            yield "a request without an entry span"
            return
        _, trees = self.client.analyze(span.segment_id, span.start, span.end)
        sampled = span.end - span.start - variant.threshold
        covered = sum(line.duration for lines in trees for line in lines if line.parent_id == 0)
        if len(trees) != 1 or covered < COVERED * sampled:
            yield f"{len(trees)} trees, {covered} of {sampled} ms"


@contextlib.contextmanager
def service(name: str, line: Relay, client: OapClient) -> Iterator[Service]:
    """One of the servers, reporting over the line."""
    kind = next(kind for kind in KINDS if str(kind) == name)
    settings = {"SW_AGENT_NAME": name, "SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL": "1"}
    with driven(kind, line.address, sys.executable, settings) as app:
        asks = [
            Ask(f"/{whose}/{style}?burst={BURST}&total={TOTAL}") for style in kind.styles for whose in ("own", "other")
        ]
        yield Service(kind, app, Load(app.server.port, asks, CLIENTS, PAUSE), client)


def soak(services: list[Service], seconds: float) -> None:
    """Load the servers for so long, create tasks, and take samples."""
    threads = [threading.Thread(target=each.load.run, kwargs={"seconds": seconds}) for each in services]
    for thread in threads:
        thread.start()
    began, taken, printed = time.monotonic(), 0, 0
    while (now := time.monotonic() - began) < seconds:
        if now >= taken * EVERY:
            taken += 1
            for each in services:
                if now < max(seconds - LAST_TASK, 1.0):
                    each.ask()
                each.samples.append(each.app.state())
        if now >= printed * PRINTED:
            printed += 1
            for each in services:
                print(row(each.name, now, each.samples[-1]), flush=True)
        time.sleep(EVERY / 2)
    for thread in threads:
        thread.join()


def settled(each: Service) -> list[str]:
    """What is wrong with a server once its load is over and the backend is there."""
    found = [f"{each.name}: {words}" for words in faults(each.samples)]
    rest = each.app.rest(SENT_WITHIN)
    if not rest.idle:
        found.append(f"{each.name}: not idle at the end: {rest}")
    if rest.lost:
        found.append(f"{each.name}: {rest.lost} segments, snapshots or reports were lost")
    found += [f"{each.name}: {count} times {text}" for text, count in each.load.failures.items()]
    troubles = each.app.census().troubles
    found += [f"{each.name}: {count} times {text}" for text, count in troubles.items() if not _NEWS.match(text)]
    return found


def told(each: Service) -> bool:
    """Whether the ends of all of its tasks are known."""
    ended = {task.id for task in each.client.tasks(each.name) if task.finished}
    return ended.issuperset(task.id for task in each.tasks)


def run(seconds: float) -> list[str]:
    """What is not as it should be."""
    with contextlib.ExitStack() as stack:
        backend, url = stack.enter_context(collector())
        port = int(backend.rpartition(":")[2])
        line, client = stack.enter_context(Relay(port)), OapClient(url)
        services = [stack.enter_context(service(name, line, client)) for name in SERVERS]
        for each in services:
            each.load.run(count=2 * CLIENTS)
            eventually(each.known, "the service is known")
        with Flapping(line) as flapping:
            soak(services, seconds)
        with contextlib.suppress(AssertionError):
            eventually(lambda: all(map(told, services)), "all ends are told", timeout=SENT_WITHIN)
        print(f"{flapping.breaks} outages")
        found = [words for each in services for words in settled(each)]
        for each in services:
            profiled = sum(task.variant.samples for task in each.tasks)
            print(f"{each.name}: {each.load.done} requests, {profiled} to profile in {len(each.tasks)} tasks")
            found += each.incomplete()
        found += [f"{each.name}: {line}" for each in services for line in uncaught(each.app.server.stop())]
    return found


def main(arguments: list[str] | None = None) -> int:
    """0 if all is flat and complete, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="(%(default)g)")
    chosen = parser.parse_args(arguments)
    print(COLUMNS, flush=True)
    wrong = run(chosen.seconds)
    print(*wrong, sep="\n")
    print("nothing grows, and every profile is complete" if not wrong else f"{len(wrong)} things are wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
