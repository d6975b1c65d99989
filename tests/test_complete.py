"""No test is collected but never run: CI or a release runs each, and none is skipped."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.complete import COLLECTED

ROOT = Path(__file__).resolve().parent.parent

SKIPPED = """
import pytest

def test_runs():
    pass

def test_is_skipped():
    pytest.skip("no tool")

@pytest.mark.skipif(True, reason="not today")
def test_is_marked():
    pass

@pytest.mark.xfail
def test_fails_as_expected():
    assert False

@pytest.mark.xfail
def test_passes_unexpectedly():
    pass
"""


class Command(NamedTuple):
    """What a command of ours runs: the tests that ``expression`` selects by their markers, in ``paths``."""

    expression: str
    paths: tuple[Path, ...]

    def runs(self, item: pytest.Item) -> bool:
        """Whether it runs that test."""
        return self.runs_in(item.path) and selects(self.expression, {mark.name for mark in item.iter_markers()})

    def runs_in(self, path: Path) -> bool:
        """Whether it looks into that file."""
        return not self.paths or any(path.is_relative_to(each) for each in self.paths)


def selects(expression: str, marks: set[str]) -> bool:
    """Whether ``pytest -m`` with this expression selects a test with these markers."""
    names = {name: name in marks for name in re.findall(r"\w+", expression) if name not in ("not", "and", "or")}
    return bool(eval(expression or "True", {"__builtins__": {}}, names))


def commands() -> list[Command]:
    """All that CI and a release run by pytest itself, as make says it."""
    in_ci = re.findall(r"make ((?:[a-z-]+ ?)+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    targets = ["before-release", *(word for line in in_ci for word in line.split())]
    shown = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = [shlex.split(line) for line in shown.replace("\\\n", " ").splitlines() if " pytest " in line]
    return [command_of(words[words.index("pytest") + 1 :]) for words in lines]


def command_of(words: list[str]) -> Command:
    """What these arguments of pytest's select."""
    paths = tuple(ROOT / word for word in words if word.startswith("tests/"))
    return Command(words[words.index("-m") + 1] if "-m" in words else "", paths)


def test_ci_or_a_release_runs_each(request: pytest.FixtureRequest) -> None:
    every = commands()
    left_out = [item.nodeid for item in request.config.stash[COLLECTED] if not any(each.runs(item) for each in every)]
    assert left_out == []


@pytest.mark.parametrize(
    ("expression", "marks", "selected"),
    [
        ("", set(), True),
        ("oap", {"oap", "page"}, True),
        ("oap", {"page"}, False),
        ("not oap and not alone", {"asyncio"}, True),
        ("not oap and alone", {"alone", "oap"}, False),
    ],
)
def test_an_expression_selects_as_pytest_does(expression: str, marks: set[str], selected: bool) -> None:
    assert selects(expression, marks) is selected


def test_a_command_with_paths_looks_nowhere_else() -> None:
    command = command_of(["-m", "page and alone", "-q", "-s", "tests/page"])
    assert command == Command("page and alone", (ROOT / "tests" / "page",))
    assert command.runs_in(ROOT / "tests" / "page" / "test_large.py")
    assert not command.runs_in(Path(__file__))


@pytest.mark.parametrize(
    ("begins", "outcome"),
    [("", "3 failed, 1 passed, 1 error"), ("import pytest\npytest.importorskip('no_such_module')\n", "1 error")],
    ids=["tests", "a module"],
)
def test_what_is_skipped_or_expected_to_fail_has_failed(begins: str, outcome: str, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(begins + SKIPPED)
    command = [sys.executable, "-m", "pytest", "-p", "tests.complete", "-q", f"--rootdir={tmp_path}", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert done.stdout.splitlines()[-1].startswith(f"{outcome} in "), done.stdout
    assert "nothing is skipped, and nothing is expected to fail" in done.stdout
