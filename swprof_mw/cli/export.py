"""``export``: write profiles as a file for another tool, or list what could be exported."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from swprof_mw.cli import connection
from swprof_mw.cli.error import CommandError
from swprof_mw.export.formats import BINARY, FORMATS
from swprof_mw.export.profile import Profile
from swprof_mw.export.visible import visible
from swprof_mw.query import profiles
from swprof_mw.query.client import OapClient, OapError, Task

NOTHING = 1


def add(commands: Any) -> None:
    """Add the command to argparse's ``commands``."""
    parser = commands.add_parser("export", help="write profiles as a file for another tool")
    connection.add(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--task", metavar="ID", help="all requests that this task has profiled")
    what.add_argument("--service", metavar="NAME", help="write nothing, list the tasks of this service")
    segment_help = "the requests with these segments; with their --task they have names and durations"
    parser.add_argument("--segment", metavar="ID", nargs="+", default=[], help=segment_help)
    parser.add_argument("--format", choices=FORMATS, default="speedscope", help="%(choices)s (%(default)s)")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="-", help="where to; -: standard output (%(default)s)"
    )
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """0 if something was written or listed, 1 if there is nothing. Raises ``CommandError`` if it could not be done."""
    if chosen.output == "-" and chosen.format in BINARY and not chosen.service and sys.stdout.isatty():
        raise CommandError(f"{chosen.format} is not for a terminal; give a file with -o")
    if bool(chosen.service) == bool(chosen.task or chosen.segment):
        raise CommandError("what to export is named by --task, --segment or both; --service only lists")
    try:
        client = connection.client(chosen)
        if chosen.service:
            return _list(client.tasks(chosen.service), chosen.service)
        found = _found(client, chosen.task, chosen.segment)
    except OapError as error:
        raise CommandError(str(error)) from error
    if not found:
        print("no snapshot of what was asked for is stored", file=sys.stderr)
        return NOTHING
    _write(chosen.output, FORMATS[chosen.format](found))
    return 0


def _found(client: OapClient, task: str | None, segments: list[str]) -> list[Profile]:
    return profiles.of_task(client, task, segments) if task else profiles.of_segments(client, segments)


def _list(tasks: list[Task], service: str) -> int:
    for task in tasks:
        start = datetime.fromtimestamp(task.start / 1000, timezone.utc).isoformat(timespec="seconds")
        print(visible(f"{task.id}  {start}  {task.duration} min  {task.endpoint}"))
    if not tasks:
        print(f"no task of {visible(service)} is stored", file=sys.stderr)
    return 0 if tasks else NOTHING


def _write(output: str, content: bytes) -> None:
    if output == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        Path(output).write_bytes(content)
    except OSError as error:
        raise CommandError(f"cannot write {output}: {error.strerror}") from error
