"""Servers whose sampler is driven harder than any backend may: see `bench.apps.driven`."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cases import CASES, WSGI_SERVERS
from bench.census import Census, State
from bench.steady import Ask, Load
from swprof_mw.collector.server import Collector
from tests import servers
from tests.load import get

ROOT = Path(__file__).resolve().parent.parent
#: Of the server, where it has them.
THREADS = 8
PERIOD = 1
#: A request has to last so long to be profiled, ms: by turns.
THRESHOLDS = (0, 15)
#: How long a request lasts, and its bursts of computing, ms.
TOTAL, BURST = 40, 1
#: Requests of each style before it counts: for each second of load, and for each client at least.
WARMING, WARMING_LEAST = 10, 4
#: Requests that still go on then, their clients gone, are over within so many seconds.
QUIET_WITHIN = 10.0
#: What each request holds.
MARK = "bench.apps.driven.Mark"
#: What we hold of each request.
SPAN = "swprof_mw.span.EntrySpan"

_UNCAUGHT = "Traceback (most recent call last):"
#: What a request that is bidden to fail raises.
_BIDDEN = "could not convert string to float"


@dataclass(frozen=True)
class Kind:
    """A server with an app, and the styles of endpoints that it has."""

    server: str
    framework: str
    target: str
    styles: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.server}-{self.framework}"

    @property
    def wrapper(self) -> str:
        """What the server is told to serve."""
        return f"bench.apps.driven:{'wsgi' if self.server in WSGI_SERVERS else 'asgi'}"


KINDS = tuple(
    Kind(*which, tuple(case.style for case in CASES if (case.server, case.framework, case.target) == which))
    for which in dict.fromkeys((case.server, case.framework, case.target) for case in CASES)
)


@dataclass(frozen=True)
class Plan:
    """A load.

    Attributes:
        seconds: how long.
        counts: instead, so many requests in each phase.
        clients: at once.
        pause: of a client after each request, seconds.
        quiet: after it, before the process is looked at, seconds: servers keep timers and connections for a while.
        patience: then, until the process has to be idle.
    """

    seconds: float = 120.0
    counts: tuple[int, ...] = ()
    clients: int = 30
    pause: float = 0.3
    quiet: float = 6.0
    patience: float = 180.0

    def phases(self, kind: Kind) -> list[Phase]:
        """Each style, and each threshold of the profiled requests."""
        profiled = [(style, threshold) for threshold in THRESHOLDS for style in kind.styles]
        seconds, counts = self.seconds / len(profiled), self.counts or [None] * len(profiled)
        return [
            Phase(*which, seconds if count is None else None, count)
            for which, count in zip(profiled, counts, strict=True)
        ]


@dataclass(frozen=True)
class Phase:
    """A part of a load: requests of ``style`` are profiled that last ``threshold`` ms; for so long, or so many."""

    style: str
    threshold: int
    seconds: float | None
    count: int | None


class Driven:
    """A server with a driven app; see `bench.apps.driven` for what it can be asked."""

    def __init__(self, server: servers.Server) -> None:
        self.server = server

    def state(self) -> State:
        """What its process holds now."""
        return State(**self._ask("/state"))

    def census(self) -> Census:
        """All there is in its process."""
        found = self._ask("/census")
        return Census(found["types"], found["threads"], State(**found["state"]), found["troubles"])

    def drive(self, endpoint: str, threshold: int = 0) -> int:
        """Profile all requests of an endpoint from now on; how many services of ours there are."""
        services: int = self._ask(f"/drive?endpoint={endpoint}&period={PERIOD}&threshold={threshold}")
        return services

    def rest(self, seconds: float) -> State:
        """Wait until it is idle; its state then, or if it is not, after so many seconds."""
        deadline = time.monotonic() + seconds
        while not (found := self.state()).idle and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def _ask(self, path: str) -> Any:
        status, _, body = get(self.server.url + path)
        assert status == 200, body
        return json.loads(body)


@contextlib.contextmanager
def driven(kind: Kind, backend: str, python: str, settings: Mapping[str, str]) -> Iterator[Driven]:
    """The kind's app under its server, reporting to ``backend``; ``settings`` are for its environment."""
    own = {
        "DRIVEN_APP": kind.target,
        "PYTHONPATH": str(ROOT),
        "SW_AGENT_NAME": "bench",
        "SW_AGENT_COLLECTOR_BACKEND_SERVICES": backend,
    }
    quiet = ("--no-access-log",) if kind.server.startswith("uvicorn") else ()
    more: dict[str, Any] = {"path": "/state", "threads": THREADS, "options": quiet, "python": python}
    with servers.start(kind.server, kind.wrapper, {**own, **settings}, ROOT, **more) as server:
        yield Driven(server)


@dataclass(frozen=True)
class Outcome:
    """One run, with us or without.

    Attributes:
        requests: of each phase.
        failures: requests that were not answered as they should be, by what came instead.
        before, after: what the process held.
        uncaught: the last lines of tracebacks in the server's output.
    """

    requests: tuple[int, ...]
    failures: Mapping[str, int]
    before: Census
    after: Census
    uncaught: tuple[str, ...]

    @property
    def snapshots(self) -> int:
        """Taken during the load."""
        return self.after.state.snapshots - self.before.state.snapshots

    @property
    def errors(self) -> dict[str, int]:
        """What went wrong, and how often."""
        told = {line: self.uncaught.count(line) for line in self.uncaught}
        return {**self.failures, **self.after.troubles, **told}


def run(
    kind: Kind, enabled: bool, plan: Plan, python: str = sys.executable, settings: Mapping[str, str] | None = None
) -> Outcome:
    """Load a server, on a collector of its own.

    Args:
        enabled: whether with us; without us is the control.
        python: the interpreter.
        settings: for the server's environment.
    """
    environment = {
        "SWPROF_ENABLED": "on" if enabled else "off",
        "SWPROF_MAX_CPU": "100",
        "SW_AGENT_PROFILE_SNAPSHOT_TRANSPORT_BUFFER_SIZE": "100000",
        **(settings or {}),
    }
    requests, failures = [], Counter[str]()
    with (
        Collector(grpc_port=0, http_port=0) as collector,
        driven(kind, collector.backend, python, environment) as app,
    ):
        warm_up(kind, app, plan)
        before = rested(app, plan)
        for phase in plan.phases(kind):
            app.drive(f"/own/{phase.style}", phase.threshold)
            load = Load(app.server.port, asks(kind, phase.style), plan.clients, plan.pause)
            requests.append(load.run(phase.seconds, phase.count))
            failures += load.failures
        after = rested(app, plan)
        output = app.server.stop()
    return Outcome(tuple(requests), failures, before, after, uncaught(output))


def warm_up(kind: Kind, app: Driven, plan: Plan) -> None:
    """Let all come into being that there is only once: caches, pools of threads, the agent, its connection.

    The texts of places in code are such a cache: a longer load meets more of them.
    """
    get(f"{app.server.url}/own/{kind.styles[0]}")
    count = max(int(WARMING * plan.seconds), WARMING_LEAST * plan.clients)
    for style in kind.styles:
        app.drive(f"/own/{style}")
        Load(app.server.port, asks(kind, style), plan.clients, pause=0.0).run(count=count)


def rested(app: Driven, plan: Plan) -> Census:
    """A census of the idle process. What the first one leaves behind is in the second.

    A server may go on with a request whose client is gone, and a timer of it holds the Context of the request that
    set it: they are given the time to.
    """
    time.sleep(plan.quiet)
    deadline = time.monotonic() + min(plan.patience, QUIET_WITHIN)
    app.rest(plan.patience)
    app.census()
    while any((found := app.census()).types.get(name) for name in (MARK, SPAN)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def asks(kind: Kind, style: str) -> list[Ask]:
    """What is asked for while that style is profiled: mostly that, and the others beside it."""
    lasts = f"burst={BURST}&total={TOTAL}"
    own, other = Ask(f"/own/{style}?{lasts}"), [Ask(f"/other/{each}?{lasts}") for each in kind.styles]
    odd = [Ask("/missing", 404), Ask(f"/own/{style}?burst=wrong", 500), Ask(own.path, None)]
    return [each for one in (*other, *other, *odd) for each in (own, one)]


def uncaught(output: str) -> tuple[str, ...]:
    """The last line of each traceback, those apart that requests were bidden to raise."""
    found = []
    for part in output.split(_UNCAUGHT)[1:]:
        last = next((line for line in part.splitlines()[1:] if line[:1].strip()), "")
        if _BIDDEN not in part:
            found.append(last)
    return tuple(found)
