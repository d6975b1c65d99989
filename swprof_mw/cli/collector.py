"""``collector``: run the embedded collector until it is told to stop."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from swprof_mw.cli.error import CommandError

if TYPE_CHECKING:
    from swprof_mw.collector.server import Collector

EXTRA = frozenset({"graphql", "starlette", "uvicorn"})

VARIABLE = "SWPROF_COLLECTOR_TOKEN"
"""The environment variable with the token of the collector, for who runs it and who asks it."""


def add(commands: Any) -> None:
    """Add the command to argparse's ``commands``."""
    parser = commands.add_parser("collector", help="receive what agents send, and answer OAP's GraphQL queries")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (%(default)s); others need a token, sent in clear"
    )
    parser.add_argument("--grpc-port", type=int, default=11800, help="for agents; 0: a free one (%(default)s)")
    parser.add_argument("--http-port", type=int, default=12800, help="for GraphQL; 0: a free one (%(default)s)")
    parser.add_argument(
        "--token",
        default="",
        help=f"what agents and people have to show; better in {VARIABLE}, where no other user reads it",
    )
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM.

    Raises:
        CommandError: a port is taken, a token is missing, or the extra is not installed.
    """
    with _told_to_stop() as stopped:
        collector = _start(chosen)
        print(f"agents   {collector.backend}\nGraphQL  {collector.url}/graphql", flush=True)
        stopped.wait()
        collector.stop()
    return 0


@contextlib.contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Set by SIGINT and SIGTERM, while inside."""
    stopped = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, lambda _number, _frame: stopped.set())
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(chosen: argparse.Namespace) -> Collector:
    try:
        from swprof_mw.collector.server import Collector, CollectorError
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        raise CommandError(f"{error.name} is not installed; run: pip install 'swprof-mw[collector]'") from error
    try:
        token = chosen.token or os.environ.get(VARIABLE, "")
        return Collector(chosen.grpc_port, chosen.http_port, chosen.host, token=token).start()
    except CollectorError as error:
        raise CommandError(str(error)) from error
