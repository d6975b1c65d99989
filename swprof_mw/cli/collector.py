"""``collector``: run the embedded collector until it is told to stop."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from swprof_mw.cli import quantities, serving
from swprof_mw.cli.error import CommandError

if TYPE_CHECKING:
    from swprof_mw.collector.server import Collector

VARIABLE = "SWPROF_COLLECTOR_TOKEN"
"""The environment variable with the token of the collector, for who runs it and who asks it."""


def add(commands: Any) -> None:
    """Add the command to argparse's ``commands``."""
    parser = commands.add_parser(
        "collector", help="receive what agents send, and show it on a page and by OAP's GraphQL"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (%(default)s); others need a token, sent in clear"
    )
    parser.add_argument("--grpc-port", type=int, default=11800, help="for agents; 0: a free one (%(default)s)")
    parser.add_argument(
        "--http-port", type=int, default=12800, help="for the page and GraphQL; 0: a free one (%(default)s)"
    )
    parser.add_argument(
        "--token",
        default="",
        help=f"what agents and people have to show; better in {VARIABLE}, where no other user reads it",
    )
    parser.add_argument("--store", default="", metavar="FILE", help="keep everything in this file; default: in memory")
    parser.add_argument(
        "--retention",
        type=quantities.milliseconds,
        metavar="TIME",
        help="how long to keep it: 90s, 30m, 12h, 7d; 0: as long as there is room (default for a file: 7d)",
    )
    parser.add_argument(
        "--max-size",
        type=quantities.size,
        metavar="SIZE",
        help="of the file: 500MB, 2GB; the oldest goes (default for a file: 1GB)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM.

    Raises:
        CommandError: a port is taken, a token is missing, the file is no store, or the extra is not installed.
    """
    token = chosen.token or os.environ.get(VARIABLE, "")
    with serving.told_to_stop() as wait, _started(chosen, token) as collector:
        print(f"agents   {collector.backend}\nGraphQL  {collector.url}/graphql")
        print(f"page     {serving.address(collector.page, token)}", flush=True)
        if chosen.open:
            serving.open_browser(collector.page)
        gc.collect()
        gc.freeze()  # what is here by now stays: there is no need to look at it during each large query
        wait()
    return 0


@contextlib.contextmanager
def _started(chosen: argparse.Namespace, token: str) -> Iterator[Collector]:
    """A collector that runs while inside."""
    with serving.with_extra():
        from swprof_mw.collector.server import Collector, CollectorError
        from swprof_mw.collector.store import Store
    try:
        with (
            contextlib.closing(Store(chosen.store, *_bounds(chosen))) as store,
            Collector(chosen.grpc_port, chosen.http_port, chosen.host, store, token) as collector,
        ):
            yield collector
    except CollectorError as error:
        raise CommandError(str(error)) from error


def _bounds(chosen: argparse.Namespace) -> tuple[int, int]:
    """Retention and size as they were asked for, or, for a file, the default."""
    from swprof_mw.collector.store import LEAST_SIZE, MAX_SIZE, RETENTION

    retention, size = (RETENTION, MAX_SIZE) if chosen.store else (0, 0)
    retention = retention if chosen.retention is None else chosen.retention
    size = size if chosen.max_size is None else chosen.max_size
    if 0 < size < LEAST_SIZE:
        raise CommandError(f"--max-size: at least {LEAST_SIZE} bytes are needed, or 0 for any number")
    return retention, size
