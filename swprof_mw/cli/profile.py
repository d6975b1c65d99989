"""``profile``: create a task, wait for the requests it profiles, and print where their time went."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from swprof_mw.cli import connection, report
from swprof_mw.cli.error import CommandError
from swprof_mw.cli.progress import Progress
from swprof_mw.export.visible import visible
from swprof_mw.query.client import OapClient, OapError, Request, TaskRefused

POLL = 0.5
"""Seconds between two looks."""

GRACE = 45.0
"""Seconds after a task's end: agents ask every 20 s, OAP refreshes its answers every 10 s and stores a bit later."""

SETTLE = 3.0
"""Seconds without anything new, after which no more is expected; OAP stores what it is sent every 2 s or so."""

NOTHING = 1


def add(commands: Any) -> None:
    """Add the command to argparse's ``commands``."""
    parser = commands.add_parser("profile", help="profile an endpoint, and print where its time goes")
    parser.add_argument("--service", required=True, help="name of the service")
    parser.add_argument("--endpoint", required=True, help="name of the endpoint, as OAP lists it")
    connection.add(parser)
    parser.add_argument("--duration", type=int, default=1, help="of the task, minutes (%(default)s)")
    parser.add_argument("--period", type=int, default=10, help="between two snapshots, ms (%(default)s)")
    parser.add_argument("--min-duration", type=int, default=0, help="of a request worth profiling, ms (%(default)s)")
    parser.add_argument("--samples", type=int, default=5, help="requests to profile, 1 to 9 (%(default)s)")
    parser.add_argument("--timeout", type=float, help=f"to wait at most, s (the duration and {GRACE:.0f} s)")
    parser.add_argument("--settle", type=float, default=SETTLE, help="to wait for late snapshots, s (%(default)s)")
    parser.add_argument("--unlisted", action="store_true", help="accept an endpoint that is not listed: a single path")
    parser.add_argument("--full", action="store_true", help="show every frame")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """0 if a request was profiled, 1 if none was. Raises ``CommandError`` for whatever stands in the way."""
    try:
        client = connection.client(chosen)
        _check(client, chosen)
        task_id = _create(client, chosen)
        with Progress(sys.stderr) as progress:
            requests = _Wait(client, chosen, task_id, progress.show).requests()
        for line in report.lines(client, requests, full=chosen.full):
            print(line)
    except OapError as error:
        raise CommandError(str(error)) from error
    if not requests:
        print(f"no request of {visible(chosen.endpoint)} was profiled", file=sys.stderr)
        return NOTHING
    return 0


def _check(client: OapClient, chosen: argparse.Namespace) -> None:
    """Endpoints are asked for first: OAP lists a new service itself only a while later."""
    if chosen.endpoint in client.endpoints(chosen.service, chosen.endpoint):
        return
    endpoints = client.endpoints(chosen.service)
    if not endpoints and chosen.service not in (services := client.services()):
        raise CommandError(f"service {chosen.service!r} is not known; known: {_listed(services)}")
    if not chosen.unlisted:
        listed = _listed(endpoints)
        raise CommandError(f"endpoint {chosen.endpoint!r} of {chosen.service!r} is not listed; listed: {listed}")


def _listed(names: list[str]) -> str:
    return ", ".join(sorted(names)) or "none yet"


def _create(client: OapClient, chosen: argparse.Namespace) -> str:
    try:
        return client.create_task(
            chosen.service,
            chosen.endpoint,
            duration=chosen.duration,
            min_duration=chosen.min_duration,
            period=chosen.period,
            samples=chosen.samples,
        )
    except TaskRefused as error:
        raise CommandError(f"the task was refused: {error}") from error


@dataclass(frozen=True)
class _Wait:
    client: OapClient
    chosen: argparse.Namespace
    task_id: str
    show: Callable[[str], None]

    def requests(self) -> list[Request]:
        """What was profiled, once the samples are listed, all instances have finished or the time is over."""
        timeout = self.chosen.timeout
        latest = time.monotonic() + (self.chosen.duration * 60 + GRACE if timeout is None else timeout)
        while not self._complete(latest - time.monotonic()):
            time.sleep(min(POLL, max(latest - time.monotonic(), 0)))
        return self._settled()

    def _complete(self, left: float) -> bool:
        task = next((task for task in self.client.tasks(self.chosen.service) if task.id == self.task_id), None)
        notified, finished = (task.notified, task.finished) if task else (frozenset(), frozenset())
        listed = len(self.client.segments(self.task_id))
        self.show(
            f"{listed} of {self.chosen.samples} requests profiled; instances: {len(notified)} notified, "
            f"{len(finished)} finished; {max(left, 0):.0f} s left"
        )
        return listed >= self.chosen.samples or (bool(notified) and notified <= finished) or left <= 0

    def _settled(self) -> list[Request]:
        """Segments and snapshots come by different ways: what is listed first may still be growing."""
        requests = self.client.segments(self.task_id)
        size, since = report.size(self.client, requests), time.monotonic()
        while time.monotonic() - since < self.chosen.settle:
            time.sleep(min(POLL, self.chosen.settle))
            requests = self.client.segments(self.task_id)
            if (newer := report.size(self.client, requests)) != size:
                size, since = newer, time.monotonic()
        return requests
