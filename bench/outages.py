"""What an outage of the backend costs the app's requests. ``python bench/outages.py``

In each outage requests run by turns with and without us, in one process and on one thread, while 1,000 segments and
more wait to be sent. Printed is the difference of the two 99th percentiles with its 95 % interval, and what became of
the segments. Exit status 1 if a request failed, a row adds more than a millisecond, the backend's return was noticed
too late, or something was lost.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder

from bench.partner import Partner
from swprof_mw import agent
from swprof_mw.flask import SWProfiler
from tests.outages import OUTAGES
from tests.reports import segment, snapshot

REQUESTS = 20_000
QUEUED = 1_000
#: The promises: added to the 99th percentile, ms, and until reporting goes on, s.
MOST_ADDED = 1.0
BACK_WITHIN = 5.0
#: Memory may grow by so much in all outages together, MB: the queues' bounds are some 15,000 small records.
GROWTH = 60

#: The interval is that of so many draws of stretches of so many requests.
DRAWS = 200
STRETCH = 50

HEADER = (
    f"{'outage':20}{'requests':>9}{'failed':>7}{'p99 with':>9}{'without':>8}{'added (95 %)':>22}{'alone':>7}"
    f"{'queued':>8}{'sent':>7}{'lost':>5}{'twice':>6}{'back':>7}{'memory':>8}"
)


@dataclass
class Row:
    """One outage. Times of requests in ms.

    Attributes:
        with_us, without: of each request.
        alone: of each request of the app before there was an agent.
        failed: answers that were not the app's.
        queued: the most segments that waited.
        made, sent: segments and snapshots, by us and as the backend counts them, each once.
        twice: that came more than once.
        back: seconds from the outage's end until something was taken.
        memory: of the process at the end, MB.
    """

    kind: str
    with_us: list[float]
    without: list[float]
    alone: list[float]
    failed: int = 0
    queued: int = 0
    made: int = 0
    sent: int = 0
    twice: int = 0
    back: float = 0.0
    memory: float = 0.0

    @cached_property
    def added(self) -> tuple[float, float, float]:
        """What we add to the 99th percentile, and the interval that it lies in by 95 %.

        Drawn again are stretches of requests, with their neighbours: what disturbs a machine lasts longer than one.
        """
        starts = range(0, len(self.without) - STRETCH + 1, STRETCH)
        differences = []
        for _ in range(DRAWS):
            drawn = random.choices(starts, k=len(starts))
            differences.append(self._difference([index for start in drawn for index in range(start, start + STRETCH)]))
        differences.sort()
        whole = self._difference(range(len(self.without)))
        return whole, differences[int(DRAWS * 0.025)], differences[int(DRAWS * 0.975)]

    def _difference(self, indices: Sequence[int]) -> float:
        return _p99([self.with_us[index] for index in indices]) - _p99([self.without[index] for index in indices])

    def faults(self, surely: bool) -> list[str]:
        """What of the promise it does not keep; ``surely``: of the added latency only if it is above by 97.5 %."""
        added, low, _ = self.added
        found = [
            (self.failed, f"{self.failed} requests failed"),
            ((low if surely else added) > MOST_ADDED, f"{added:.2f} ms added"),
            (self.back > BACK_WITHIN, f"back after {self.back:.1f} s"),
            (self.sent != self.made, f"{self.made - self.sent} lost"),
        ]
        return [words for wrong, words in found if wrong]

    def __str__(self) -> str:
        added, low, high = self.added
        return (
            f"{self.kind:20}{len(self.with_us) + len(self.without):9d}{self.failed:7d}{_p99(self.with_us):9.2f}"
            f"{_p99(self.without):8.2f}{f'{added:.2f} ({low:.2f} to {high:.2f})':>22}{_p99(self.alone):7.2f}"
            f"{self.queued:8d}{self.sent:7d}{self.made - self.sent:5d}{self.twice:6d}{self.back:6.1f}s"
            f"{self.memory:6.0f}MB"
        )


class App:
    """One Flask app with us and the same without, and requests to them."""

    def __init__(self, backend: str) -> None:
        self.plain = _flask()
        self.profiled = _flask()
        self.profiled.wsgi_app = SWProfiler(  # type: ignore[method-assign]
            self.profiled,
            backend_services=backend,
            service_name="bench",
            trace_reporter_max_buffer_size=40_000,
            heartbeat_period=1.0,
            profile_task_query_interval=1.0,
        )
        self.failed = 0

    def ask(self, app: Flask) -> float:
        """One request, body and all; ms."""
        environ = EnvironBuilder("/orders/7").get_environ()
        statuses: list[str] = []

        def start_response(status: str, headers: object, exc_info: object = None) -> Callable[[bytes], object]:
            statuses.append(status)
            return len

        began = time.perf_counter_ns()
        body = app.wsgi_app(environ, start_response)
        data = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        took = (time.perf_counter_ns() - began) / 1e6
        self.failed += statuses != ["200 OK"] or b'"order":7' not in data
        return took


def _flask() -> Flask:
    app = Flask("bench")

    @app.get("/orders/<int:order>")
    def show(order: int) -> dict[str, int]:
        return {"order": order, "total": sum(index * index for index in range(6_000))}

    return app


class Feeder:
    """Keeps segments and snapshots waiting, beside those of the requests. Each has a number of its own."""

    def __init__(self) -> None:
        self.segments = 0
        self.snapshots = 0
        self._last = 0.0

    def fill(self, now: float) -> None:
        """Fill the queue up again, twice a second at the most."""
        running = agent.current()
        if running is None or now - self._last < 0.5:
            return
        self._last = now
        for _ in range(QUEUED - len(running.reporter.segments)):
            running.reporter.segments.add(segment(self.segments, service="bench", instance=running.instance))
            self.segments += 1
        for _ in range(QUEUED // 10):
            self.snapshots += running.reporter.snapshots.add(snapshot(self.snapshots))

    def back(self) -> float:
        """Seconds until a segment has gone that is queued now."""
        reporter, began = _reporter(), time.monotonic()
        reporter.segments.add(segment(self.segments))
        self.segments += 1
        waiting = len(reporter.segments) + reporter.segments.sent
        _until(lambda: reporter.segments.sent >= waiting, 60)
        return time.monotonic() - began


def measure(kind: str, requests: int, alone: list[float], app: App, backend: Partner, feeder: Feeder) -> Row:
    """One outage."""
    row = Row(kind, [], [], alone)
    app.failed, made = 0, requests // 2
    before, fed = backend.tell(["arrived"]), (feeder.segments, feeder.snapshots)
    if kind != "absent":  # it is, before the first one
        backend.tell(["begin", kind])
    for number in range(made):
        # By turns, and each the first as often.
        order = (row.with_us, row.without) if number % 2 else (row.without, row.with_us)
        for times in order:
            times.append(app.ask(app.profiled if times is row.with_us else app.plain))
        feeder.fill(time.monotonic())
        row.queued = max(row.queued, len(_reporter().segments))
    backend.tell(["end"])
    row.back = feeder.back()
    _until(lambda: not len(_reporter().segments) + len(_reporter().snapshots), 60)
    after = backend.tell(["arrived"])
    row.failed, row.memory = app.failed, _memory()
    row.made = made + feeder.segments - fed[0] + feeder.snapshots - fed[1]
    row.sent = sum(after[what][1] - before[what][1] for what in ("segments", "snapshots"))
    row.twice = sum(after[what][0] - before[what][0] for what in ("segments", "snapshots")) - row.sent
    return row


def _reporter() -> Any:
    running = agent.current()
    assert running is not None
    return running.reporter


def _until(condition: Callable[[], object], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def _memory() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


@contextmanager
def running() -> Iterator[Partner]:
    """A backend, and at the end no agent."""
    backend = Partner("bench.outage_backend")
    try:
        yield backend
    finally:
        agent.shut_down()
        backend.close()


def main(arguments: list[str] | None = None) -> int:
    """0 if every row keeps what is promised, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outages", nargs="*", default=list(OUTAGES), help=f"of {', '.join(OUTAGES)}")
    parser.add_argument("--surely", action="store_true", help="a row fails only for what cannot be the machine's noise")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="in each outage, with us and without")
    options = parser.parse_args(arguments)
    options.outages.sort(key=list(OUTAGES).index)
    print(HEADER, flush=True)
    broken = []
    with running() as backend:
        app, feeder = App(backend.greeting), Feeder()
        alone = [app.ask(app.plain) for _ in range(options.requests // 4)]
        if "absent" in options.outages:
            backend.tell(["begin", "absent"])
        began = 0.0
        for kind in options.outages:
            row = measure(kind, options.requests, alone, app, backend, feeder)
            began = began or row.memory
            print(row, flush=True)
            broken += [f"{kind}: {words}" for words in row.faults(options.surely)]
    if row.memory - began > GROWTH:
        broken.append(f"memory grew from {began:.0f} to {row.memory:.0f} MB")
    print(*broken, sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
