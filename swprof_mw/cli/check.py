"""``check``: load an app as its server would, and say what is configured, what is wrong, and how to mend it."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swprof_mw.check import loading
from swprof_mw.check.finding import CheckError
from swprof_mw.cli import findings
from swprof_mw.cli.error import CommandError
from swprof_mw.cli.progress import Progress
from swprof_mw.config import ConfigError

if TYPE_CHECKING:
    from swprof_mw.check.diagnosis import Diagnosis

DJANGO = "DJANGO_SETTINGS_MODULE"
FOUND = 1


def add(commands: Any) -> None:
    """Add the command to argparse's ``commands``."""
    parser = commands.add_parser(
        "check",
        help="load an app, reach its backend, and say what is wrong",
        description="Load apps as their server would, and their backend; say what is wrong, and what mends it. "
        "No request is made to an app. Run it where the server runs, with the same environment.",
        epilog="Exit status: 0, no error was found; 1, one was; 2, an app could not be loaded, or an option is wrong.",
    )
    parser.add_argument("apps", nargs="*", metavar="MODULE:APP", help="as a server is given it; a factory: shop:make()")
    parser.add_argument("--django", metavar="SETTINGS", help=f"a Django site's settings module (default: {DJANGO})")
    parser.add_argument("--factory", action="store_true", help="the names are factories' (uvicorn --factory)")
    parser.add_argument("--app-dir", type=Path, default=Path(), metavar="DIR", help="where the modules are (here)")
    parser.add_argument("--uwsgi", type=Path, metavar="FILE", help="uWSGI's .ini (default: uwsgi.ini there, if any)")
    parser.add_argument("--no-backend", action="store_true", help="call no backend")
    parser.add_argument("--timeout", type=float, default=4.0, help="of a call to a backend, s (%(default)s, the most)")
    parser.add_argument("--all", action="store_true", help="show settings that have their defaults, too")
    parser.add_argument("--strict", action="store_true", help="a warning is an error")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """0 if no error was found, 1 if one was. Raises ``CommandError`` if an app cannot be loaded, or a file read."""
    from swprof_mw.check.diagnosis import Diagnosis  # no other command needs what this imports

    diagnosis = Diagnosis()
    directory = chosen.app_dir.absolute()
    try:
        _load(diagnosis, chosen, directory)
        diagnosis.examine_process(chosen.uwsgi, directory)
    except CheckError as error:
        raise CommandError(str(error)) from error
    if not chosen.no_backend:
        with Progress(sys.stderr) as progress:
            diagnosis.examine_backend(chosen.timeout, lambda address: _tell(progress, address))
    for line in findings.as_json(diagnosis) if chosen.json else findings.as_text(diagnosis, chosen.all, sys.stdout):
        print(line)
    bad = {"error", "warning"} if chosen.strict else {"error"}
    return FOUND if any(one.severity in bad for one in diagnosis.findings) else 0


def _load(diagnosis: Diagnosis, chosen: argparse.Namespace, directory: Path) -> None:
    """Load all apps that are asked for, and then examine them."""
    site = chosen.django or ("" if chosen.apps else os.environ.get(DJANGO, ""))
    loads = {target: partial(loading.load, target, directory, chosen.factory) for target in chosen.apps}
    if site:
        loads[site] = partial(loading.load_django, site, directory)
    loaded = {}
    for target, load in loads.items():
        try:
            loaded[target] = load()
        except ConfigError as error:
            diagnosis.refuse_app(target, error)
    diagnosis.examine_apps(loaded)


def _tell(progress: Progress, address: str) -> None:
    if sys.stderr.isatty():
        progress.show(f"calling {address} …")
