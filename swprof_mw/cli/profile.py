"""``profile``: create a task, wait for the requests it profiles, and print where their time went."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from swprof_mw.cli import as_json, connection, report
from swprof_mw.cli.error import CommandError
from swprof_mw.cli.paint import paint_for
from swprof_mw.cli.progress import Progress
from swprof_mw.cli.waiting import GRACE, SETTLE, Wait
from swprof_mw.export.visible import visible
from swprof_mw.query.client import OapClient, OapError, Request, TaskRefused

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
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--full", action="store_true", help="show every frame")
    shown.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """0 if a request was profiled, 1 if none was. Raises ``CommandError`` for whatever stands in the way."""
    try:
        client = connection.client(chosen)
        _check(client, chosen)
        task_id = _create(client, chosen)
        with Progress(sys.stderr) as progress:
            wait = Wait(client, chosen.service, task_id, chosen.samples, chosen.settle, progress.show)
            requests = wait.requests(chosen.duration * 60 + GRACE if chosen.timeout is None else chosen.timeout)
        _print(client, chosen, task_id, requests)
    except OapError as error:
        raise CommandError(str(error)) from error
    if not requests:
        print(f"no request of {visible(chosen.endpoint)} was profiled", file=sys.stderr)
        return NOTHING
    return 0


def _print(client: OapClient, chosen: argparse.Namespace, task_id: str, requests: list[Request]) -> None:
    if chosen.json:
        asked = ("service", "endpoint", "duration", "period", "min_duration", "samples")
        task = {"id": task_id, **{name: getattr(chosen, name) for name in asked}}
        print(json.dumps(as_json.document(client, task, requests)))
        return
    for line in report.lines(client, requests, full=chosen.full, paint=paint_for(sys.stdout)):
        print(line)


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
