"""The plugin that puts our middleware into other projects' tests, and what is made of their outcomes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.suites.__main__ import Comparison, table
from tests.suites.suite import Run, Suite

pytestmark = [pytest.mark.slow, pytest.mark.release]

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = ROOT / "tests" / "suites"

#: A suite with the fewest long requests that say something, one that fails, and one that is skipped.
FLASK = """
import flask, pytest

def asked():
    app = flask.Flask(__name__)
    app.route("/<int:number>")(lambda number: str(number))
    return [app.test_client().get(f"/{number}").status_code for number in range(10)]

def test_requests():
    assert asked() == [200] * 10

def test_that_fails():
    assert False

def test_that_is_skipped():
    pytest.skip()
"""
STARLETTE = FLASK.replace(
    "import flask, pytest", "import pytest\nfrom tests.sample_app import app, TestClient"
).replace(
    """    app = flask.Flask(__name__)
    app.route("/<int:number>")(lambda number: str(number))
    return [app.test_client().get(f"/{number}").status_code for number in range(10)]
""",
    """    with TestClient(app()) as client:
        return [client.get(f"/{number}").status_code for number in range(10)]
""",
)
APP = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

async def view(request):
    return PlainTextResponse("")

def app():
    return Starlette(routes=[Route("/{number}", view)])
"""
PLACES = {"flask": FLASK, "starlette": STARLETTE, "starlette-inside": STARLETTE}


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A project whose tests are in a package ``tests`` of its own."""
    package = tmp_path / "tests"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "sample_app.py").write_text(APP)
    return tmp_path


def run(project: Path, place: str, *options: str, **settings: str) -> tuple[int, str, dict[str, Any]]:
    """Run the project's tests with the plugin: exit status, output, and what it wrote."""
    (project / "tests" / "test_sample.py").write_text(PLACES[place])
    file = project / "outcomes.json"
    options = ("-p", "transparency", f"--place={place}", f"--outcomes={file}", "--lengthen=1", *options)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(project), *options],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{PLUGIN}", **settings},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, json.loads(file.read_text())


@pytest.mark.parametrize("place", PLACES)
def test_long_requests_are_sampled(sample: Path, place: str) -> None:
    status, output, found = run(sample, place, "--wrap=swprof", "--deselect=tests/test_sample.py::test_that_fails")
    assert "swprof: 10 of 10 long requests sampled, 10 requests in all" in output, output
    assert (status, found["problem"], found["sampled"], len(found["kept"])) == (0, "", 10, 10)


@pytest.mark.parametrize("place", ["flask", "starlette"])
def test_it_fails_if_our_middleware_is_off(sample: Path, place: str) -> None:
    deselect = "--deselect=tests/test_sample.py::test_that_fails"
    status, output, found = run(sample, place, "--wrap=swprof", deselect, SWPROF_ENABLED="off")
    problem = "only 0 of 10 requests longer than 50 ms were sampled"
    assert f"swprof: {problem}" in output, output
    assert (status, found["problem"], found["kept"]) == (1, problem, [])


def test_it_fails_if_there_is_nothing_to_tell_by(sample: Path) -> None:
    status, output, _ = run(sample, "flask", "--wrap=swprof", "--lengthen=2", "-k", "requests")
    assert status == 1
    assert "swprof: only 5 requests took longer than 50 ms: too few to tell" in output, output


@pytest.mark.parametrize("wrap", ["none", "empty"])
def test_other_wrappers_only_tell_the_outcomes(sample: Path, wrap: str) -> None:
    status, output, found = run(sample, "flask", f"--wrap={wrap}", "--lengthen=100")
    assert status == 1
    assert "swprof" not in output
    names = ("requests", "that_fails", "that_is_skipped")
    assert [found["outcomes"][f"tests/test_sample.py::test_{name}"] for name in names] == [
        "passed",
        "failed",
        "skipped",
    ]
    assert (found["requests"], found["problem"], found["kept"]) == (0 if wrap == "none" else 10, "", [])


# The comparison

RUN = Run({"a": "passed", "b": "passed", "c": "failed"}, 30, 20, 20, frozenset({"t1", "t2"}), True, "output")


def compared(arrived: set[str], **ours: Any) -> Comparison:
    """The same run three times, but for what is said of ours."""
    return Comparison(Suite("flask==1", "flask"), RUN, RUN, replace(RUN, **ours), arrived)


def test_nothing_is_wrong_with_what_fails_in_any_case() -> None:
    assert compared({"t1", "t2", "t3"}).problems == []


@pytest.mark.parametrize("outcomes", [{"a": "passed", "b": "failed"}, {"a": "passed", "b": "skipped"}, {"a": "passed"}])
def test_what_does_not_pass_with_us_alone_has_newly_failed(outcomes: dict[str, str]) -> None:
    comparison = compared({"t1", "t2"}, outcomes=outcomes)
    assert comparison.newly_failed == ["b"]
    assert comparison.problems == ["flask: newly failed: b"]


def test_requests_that_are_not_sampled_and_snapshots_that_are_lost_are_wrong() -> None:
    assert compared({"t1"}, well=False).problems == [
        "flask: too few of the long requests were sampled",
        "flask: snapshots of 1 of 2 requests did not arrive at the backend",
    ]


def test_the_table_has_a_line_for_each_suite() -> None:
    head, rule, line = table([compared({"t1", "t2"}).row]).splitlines()
    assert head.split()[:2] == ["suite", "tests"]
    assert set(rule) == {"-", " "}
    assert line.split("  ")[0] == "flask==1, flask"
    assert line.split()[2:7] == ["3", "2", "2", "2", "0"]
    assert line.rstrip().endswith("20 of 20, 30 in all")
