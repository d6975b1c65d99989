"""The command line: ``swprof``, or ``python -m swprof_mw``, and its commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from swprof_mw import __version__
from swprof_mw.cli import check, collector, export, profile, ui
from swprof_mw.cli.error import CommandError
from swprof_mw.export.visible import visible

WRONG = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that ``arguments`` (the process's own by default) name; returns the exit status.

    0: done; 1: nothing was profiled, or is there to export; 2: it could not be done, and stderr says why in one line.
    """
    chosen = _parser().parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
    except CommandError as error:
        print(f"swprof: {visible(str(error))}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="swprof", description="Profile web apps through SkyWalking.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    check.add(commands)
    collector.add(commands)
    profile.add(commands)
    export.add(commands)
    ui.add(commands)
    return parser
