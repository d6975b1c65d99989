"""What every command that asks an OAP has in common: where it is, and what it is shown."""

from __future__ import annotations

import argparse
import os

from swprof_mw.cli.collector import VARIABLE
from swprof_mw.cli.error import CommandError
from swprof_mw.query.client import OapClient
from swprof_mw.query.transport import basic, bearer

PASSWORD = "SWPROF_OAP_PASSWORD"  # noqa: S105 its name
"""The environment variable with the password that goes with ``--user``."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add ``--oap``, and ``--token`` or ``--user``."""
    parser.add_argument(
        "--oap", default="http://127.0.0.1:12800", help="OAP's or the collector's address (%(default)s)"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--token", default="", help=f"what the OAP or the collector asks for; better in {VARIABLE}")
    shown.add_argument("--user", default="", metavar="NAME", help=f"for basic authentication, password in {PASSWORD}")


def authorization(chosen: argparse.Namespace) -> str:
    """The ``Authorization`` header that the options ask for, or none. Raises ``CommandError`` if it cannot be sent."""
    if chosen.user:
        if PASSWORD not in os.environ:
            raise CommandError(f"--user: its password is expected in the environment, as {PASSWORD}")
        try:
            return basic(chosen.user, os.environ[PASSWORD])
        except ValueError as error:
            raise CommandError(f"--user: {error}") from error
    token = chosen.token or os.environ.get(VARIABLE, "")
    try:
        return bearer(token) if token else ""
    except ValueError as error:
        raise CommandError(f"--token: {error}") from error


def client(chosen: argparse.Namespace) -> OapClient:
    """The client that the options ask for. Raises ``CommandError`` if one of them is none."""
    shown = authorization(chosen)
    try:
        return OapClient(chosen.oap, authorization=shown)
    except ValueError as error:
        raise CommandError(f"--oap: {error}") from error
