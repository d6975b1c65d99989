"""Is a command of the docs one that its program takes? One function for each program that the docs name."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from urllib.parse import urlsplit

import graphql
from packaging.requirements import Requirement

from swprof_mw.cli import main
from swprof_mw.config import SETTINGS, Setting
from tests.docs import compose
from tests.docs.commands import PLACEHOLDER, Command
from tests.snippets import ROOT

SCHEMA = graphql.build_schema((ROOT / "swprof_mw" / "collector" / "schema.graphql").read_text())
#: Variables that are no settings of an agent, and who reads them.
VARIABLES = {
    "SWPROF_COLLECTOR_TOKEN": "swprof_mw/cli/collector.py",
    "SWPROF_PAGE_TOKEN": "swprof_mw/cli/ui.py",
    "SWPROF_OAP_PASSWORD": "swprof_mw/cli/connection.py",
    "DEMO_KEEP": "examples/demo.py",
    "DJANGO_SETTINGS_MODULE": "swprof_mw/check/loading.py",
}


def check(command: Command) -> None:
    """Its variables are known, and its program takes its arguments."""
    for name, value in command.variables.items():
        check_variable(name, value)
    if command.program:
        assert command.program in PROGRAMS, f"nobody knows how to check {command.program}"
        PROGRAMS[command.program](command.arguments)


def check_variable(name: str, value: str) -> None:
    """It is a setting that takes this value, or is read by somebody else."""
    settings = {variable: setting for setting in SETTINGS.values() for variable in setting.environment}
    if name in settings:
        assert value == PLACEHOLDER or _is_taken(settings[name], value), f"{name} cannot be {value!r}"
    else:
        assert name in VARIABLES, f"nobody reads {name}"
        assert name in (ROOT / VARIABLES[name]).read_text()


def _is_taken(setting: Setting, value: str) -> bool:
    try:
        setting.parse(value)
    except (TypeError, ValueError):
        return False
    return True


def _swprof(arguments: list[str]) -> None:
    """Placeholders for several options are left out, and what they must stand for is put in."""
    given = [word for word in arguments if word != PLACEHOLDER]
    if len(given) < len(arguments) and given[0] == "profile":
        given += ["--service", "shop", "--endpoint", "/"]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            main._parser().parse_args(given)
    except SystemExit as end:
        raise AssertionError(said.getvalue()) from end


def _python(arguments: list[str]) -> None:
    assert arguments[:2] == ["-m", "swprof_mw"], "only our own module"
    _swprof(arguments[2:])


def _pip(arguments: list[str]) -> None:
    """Of ours, the extras are there; the others are installed where the tests run."""
    if arguments[:2] == ["uninstall", "--yes"]:
        return
    assert arguments[0] == "install"
    for text in arguments[1:]:
        wanted = Requirement(text)
        if wanted.name == "swprof-mw":
            extras = metadata.metadata("swprof-mw").get_all("Provides-Extra") or []
            assert wanted.extras <= set(extras), text
        else:
            assert metadata.version(wanted.name) in wanted.specifier


def _make(arguments: list[str]) -> None:
    """The goals are the Makefile's, and so are the variables."""
    makefile = (ROOT / "Makefile").read_text()
    for word in arguments:
        name, is_variable, _ = word.partition("=")
        assert re.search(rf"^{name} \?=" if is_variable else rf"^{name}:", makefile, re.MULTILINE), word


def _export(arguments: list[str]) -> None:
    for word in arguments:
        check_variable(*word.split("=", 1))


def _curl(arguments: list[str]) -> None:
    """It asks a URL, and what it sends to GraphQL is a query there."""
    assert urlsplit(arguments[-1]).scheme in ("http", "https")
    if "-d" in arguments:
        query = json.loads(arguments[arguments.index("-d") + 1])["query"]
        assert graphql.validate(SCHEMA, graphql.parse(query)) == []


def _docker(arguments: list[str]) -> None:
    """``docker compose``, with what the example has."""
    assert arguments[0] == "compose"
    command, *rest = arguments[1:]
    if command == "exec":
        assert rest[0] in compose.services()
        PROGRAMS[rest[1]](rest[2:])
    else:
        assert (command, *rest) in {("up", "--build", "--detach"), ("ps",), ("down",)}


def _jq(arguments: list[str]) -> None:
    """The keys that its filter names are keys of ours."""
    source = (ROOT / "swprof_mw" / "cli" / "as_json.py").read_text()
    for key in re.findall(r"\.([a-z_]+)", arguments[-1]):
        assert f'"{key}"' in source or f"{key}=" in source, key


def _known(*arguments: str) -> Callable[[list[str]], None]:
    """A program that is not ours, and what the docs may tell it."""

    def is_known(given: list[str]) -> None:
        assert " ".join(given) in arguments, given

    return is_known


@functools.cache
def _help(module: str, *subcommand: str) -> str:
    command = [sys.executable, "-m", module, *subcommand, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "--" in done.stdout, done.stderr
    return done.stdout


def _server(module: str, *subcommand: str) -> Callable[[list[str]], None]:
    """A server that is installed here: its help names each of the options."""

    def takes(arguments: list[str]) -> None:
        told = _help(module) + (_help(module, *subcommand) if subcommand else "")
        for word in arguments:
            if word.startswith("-"):
                assert re.search(rf"(?<![\w-]){re.escape(word.split('=')[0])}\b", told), f"{module} has no {word}"

    return takes


SERVERS = {
    "daphne": _server("daphne"),
    "flask": _server("flask", "run"),
    "granian": _server("granian"),
    "gunicorn": _server("gunicorn"),
    "hypercorn": _server("hypercorn"),
    "uvicorn": _server("uvicorn"),
    "uwsgi": _known("uwsgi.ini"),
    "waitress-serve": _server("waitress"),
}
PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    **SERVERS,
    "swprof": _swprof,
    "python": _python,
    "pip": _pip,
    "make": _make,
    "export": _export,
    "curl": _curl,
    "sleep": _known("0.2"),
    "docker": _docker,
    "flamegraph.pl": _known(""),
    "jq": _jq,
}
