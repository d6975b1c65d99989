"""Every supported Python with the oldest and the newest libraries, and what an app may lack: ``make matrix``.

That takes an hour or two on two cores. ``nox --list`` names the jobs, ``nox -s 'unit-3.12(oldest)'`` runs one. CI runs
two short ones, ``make test-oldest`` and ``make test-newest``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent))

from bench.environments import PYTHONS, available, interpreter

nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["unit", "types", "elsewhere", "installed"]

OLDEST, NEWEST = PYTHONS[0], PYTHONS[-1]
LIBRARIES = ("oldest", "newest")
WORKERS = os.environ.get("WORKERS", "3")
UNIT = "not (oap or tools or accuracy or processes or page or installed or agents or release)"
SIDE_BY_SIDE = ("-n", WORKERS, "--dist", "worksteal")

#: The suites that meet the libraries: adapters, protocol, connections, the collector and its page.
ADAPTERS = [
    *("asgi*", "django*", "flask*", "wsgi", "settings", "versions", "locate", "greenlets", "propagation"),
    *("encode", "protocol", "reporter", "channel", "plain", "transport", "tls", "collector", "page_server"),
]
#: The suites that ask nothing of Linux itself.
PORTABLE = [
    *ADAPTERS,
    *("agent", "application", "cli", "collector_*", "config", "elsewhere", "execution", "export", "failures", "names"),
    *("outbox", "recorder", "service", "signature", "span", "stacks", "task", "trace_filter", "hostile_*"),
]

#: The suites that meet what the recipes are for, which needs newer libraries than the oldest.
RECIPES = [f"tests/test_{name}.py" for name in ("check", "docs", "frameworks", "tracing", "wsgi_middleware")]

#: Of those suites, the tests that fork or read /proc themselves.
NOT_PORTABLE = [
    "test_propagation.py::test_a_process_that_was_forked_within_a_request_is_not_part_of_it",
    "test_collector_kill.py::test_an_app_comes_back_after_a_kill_and_its_task_goes_on",
    "test_channel.py::test_a_thousand_attempts_leave_nothing_behind",
]

#: What they measure is of no use while it is traced, or what they watch is tracing too.
MEASURING = ("collector_load", "neighbours", "process_cost", "sample_cost")

# A Python that is missing is said to be missing.
os.environ["UV_PYTHON_DOWNLOADS"] = "never"
# pyenv has commands of these names that find no version by themselves.
os.environ["PATH"] = os.pathsep.join(
    [*(str(Path(interpreter(each)).parent) for each in available()), os.environ["PATH"]]
)


def prepare(session: nox.Session, libraries: str) -> None:
    """The libraries that are locked, and this package as it is in the tree."""
    session.install("-r", f"requirements/{libraries}.txt")
    session.install("--no-deps", "-e", ".")


def test(session: nox.Session, libraries: str, *arguments: str) -> None:
    """Run tests. What newer Pythons than the oldest have against old libraries is those libraries' matter."""
    old = libraries == "oldest" and session.python != OLDEST
    quiet = ("-W", "ignore::DeprecationWarning", "-W", "ignore::ResourceWarning") if old else ()
    left_out = ("tests/page", "tests/project", *(RECIPES if libraries == "oldest" else ()))
    without = [f"--ignore={path}" for path in left_out]
    session.run("python", "-m", "pytest", "-q", *without, *quiet, *arguments, *session.posargs)


def suites(names: list[str]) -> list[str]:
    """The files of tests whose names are like these."""
    return [str(path) for name in names for path in sorted(Path("tests").glob(f"test_{name}.py"))]


@nox.session(python=PYTHONS)
@nox.parametrize("libraries", LIBRARIES, ids=LIBRARIES)
def unit(session: nox.Session, libraries: str) -> None:
    """Everything that `make unit test-docs test-profiles test-costs` run."""
    prepare(session, libraries)
    test(session, libraries, "-m", f"{UNIT} and not alone", *SIDE_BY_SIDE)
    test(session, libraries, "-m", f"{UNIT} and alone")


@nox.session(python=[OLDEST, NEWEST])
@nox.parametrize("libraries", LIBRARIES, ids=LIBRARIES)
def adapters(session: nox.Session, libraries: str) -> None:
    """Only the suites that meet the libraries: what CI has time for."""
    prepare(session, libraries)
    test(session, libraries, "-m", f"{UNIT} and not alone", *SIDE_BY_SIDE, *suites(ADAPTERS))


@nox.session(python=[OLDEST, NEWEST])
def elsewhere(session: nox.Session) -> None:
    """As on macOS and Windows, as far as Linux can show that."""
    prepare(session, "newest")
    session.env["PYTHONPATH"] = str(Path("tests/elsewhere").resolve())
    without = [f"--deselect=tests/{name}" for name in NOT_PORTABLE]
    test(session, "newest", "-m", f"{UNIT} and not alone", *SIDE_BY_SIDE, *without, *suites(PORTABLE))


@nox.session(python=[OLDEST, NEWEST])
def installed(session: nox.Session) -> None:
    """The wheel and the sdist: checked, and used in environments of their own with no more than one framework."""
    prepare(session, "newest")
    test(session, "newest", "-m", "installed", "-n", "2", "--dist", "worksteal")


@nox.session(python=NEWEST)
def coverage(session: nox.Session) -> None:
    """Which lines and branches the unit tests reach: on a Python where workers are found while they are traced, too."""
    prepare(session, "newest")
    session.install("coverage>=7.10")
    session.env["PYTHONPATH"] = str(Path("tests/traced").resolve())
    session.run("coverage", "erase")
    # A test that fails only since all is slower while it is traced is no matter: `make test` tells what fails.
    paths = ["page", "project", *(f"test_{name}.py" for name in MEASURING)]
    ignored = [f"--ignore=tests/{path}" for path in paths]
    traced = ("coverage", "run", "-m", "pytest", "-q", *ignored, *session.posargs)
    session.run(*traced, "-m", f"{UNIT} and not alone", *SIDE_BY_SIDE, success_codes=[0, 1])
    session.run(*traced, "-m", f"{UNIT} and alone", success_codes=[0, 1])
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(python=NEWEST)
def types(session: nox.Session) -> None:
    """What other Pythons and systems have, by their stubs."""
    session.install("-e", ".[dev]")
    for system in ("linux", "darwin", "win32"):
        for version in PYTHONS:
            # What asks for the system by name is known to lead nowhere on others.
            options = ("--platform", system, "--python-version", version, "--no-warn-unreachable")
            session.run("mypy", *options, "swprof_mw")
