"""``ui``: show the profiles of an OAP on a page, until it is told to stop."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from swprof_mw import __version__
from swprof_mw.cli import connection, serving
from swprof_mw.cli.error import CommandError

if TYPE_CHECKING:
    from swprof_mw.page.server import HttpServer
    from swprof_mw.page.upstream import Upstream

VARIABLE = "SWPROF_PAGE_TOKEN"
"""The environment variable with the token of the page's own users."""

PORT = 12801


def add(commands: Any) -> None:
    """Add the command to argparse's ``commands``."""
    parser = commands.add_parser("ui", help="show the profiles of an OAP on a page")
    connection.add(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (%(default)s); others need --page-token"
    )
    parser.add_argument("--port", type=int, default=PORT, help="for the page; 0: a free one (%(default)s)")
    parser.add_argument(
        "--page-token",
        default="",
        metavar="TOKEN",
        help=f"what the page's users have to show; better in {VARIABLE}, where no other user reads it",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM.

    Raises:
        CommandError: the port is taken, a token is missing, an option is none, or the extra is not installed.
    """
    token = chosen.page_token or os.environ.get(VARIABLE, "")
    with serving.told_to_stop() as wait, serving.with_extra():
        upstream = _upstream(chosen)
        with _serving(upstream, chosen.host, chosen.port, token) as server:
            print(f"OAP      {upstream.url}/graphql\npage     {serving.address(server.page, token)}", flush=True)
            if chosen.open:
                serving.open_browser(server.page)
            wait()
    return 0


def _upstream(chosen: argparse.Namespace) -> Upstream:
    from swprof_mw.page.upstream import Upstream

    shown = connection.authorization(chosen)
    try:
        return Upstream(chosen.oap, shown)
    except ValueError as error:
        raise CommandError(f"--oap: {error}") from error


@contextlib.contextmanager
def _serving(upstream: Upstream, host: str, port: int, token: str) -> Iterator[HttpServer]:
    """A server that answers while inside."""
    from swprof_mw.page import access
    from swprof_mw.page.app import app
    from swprof_mw.page.server import HttpServer, ServerError

    about = {"version": __version__, "backend": None, "oap": upstream.url}
    try:
        access.check(host, token)
        server = HttpServer(host, port, "swprof-ui-http")
        with contextlib.ExitStack() as stack:
            stack.callback(server.stop)
            server.start(app(upstream, lambda _: about, host, token))
            yield server
    except (access.NotAllowed, ServerError) as error:
        raise CommandError(str(error)) from error
