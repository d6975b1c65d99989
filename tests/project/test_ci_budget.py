"""CI's sections have their times, printed, and a section that takes far too long fails."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.budget import Section, Took, table

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = ROOT / ".ci" / "run"
_ROW = re.compile(r"(.*\S) +\d+ +(\d+) *(.*)")


def run(sections: str) -> tuple[int, list[str]]:
    """The status, and the rows of the table: name, budget and mark, without the seconds that it took."""
    command = [sys.executable, "-m", "scripts.budget"]
    done = subprocess.run(command, cwd=ROOT, input=sections, capture_output=True, text=True, timeout=60)
    assert not done.stderr, done.stderr
    _, printed = done.stdout.split("\nsection ")
    return done.returncode, [_ROW.sub(r"\1 \2 \3", line).strip() for line in printed.splitlines()[1:]]


def took(seconds: float, budget: int = 10, status: int = 0) -> Took:
    """A section that was run."""
    return Took(Section("some", budget, "true"), seconds, status)


def sections() -> list[Section]:
    """Those of CI."""
    _, _, listed = RUN.read_text().partition("<<'SECTIONS'\n")
    return [Section.of(line) for line in listed.removesuffix("SECTIONS\n").splitlines()]


def test_sections_that_keep_their_time_pass_and_are_listed() -> None:
    assert run("99  one: true\n\n 999 two, three: echo words; true\n") == (0, ["one 99", "two, three 999"])


def test_the_first_that_fails_is_the_last() -> None:
    assert run("99 one: true\n99 two: exit 3\n99 three: true\n") == (1, ["one 99", "two 99 failed with status 3"])


def test_what_takes_more_than_twice_its_time_fails_once_all_have_run() -> None:
    status, rows = run("0 late: sleep 0.1\n99 after: true\n")
    assert (status, rows) == (1, ["late 0 more than 2 times its budget: fails", "after 99"])


@pytest.mark.parametrize(
    ("seconds", "mark"),
    [
        (9.0, ""),
        (10.0, ""),
        (10.1, "over its budget"),
        (20.0, "over its budget"),
        (20.1, "more than 2 times its budget: fails"),
    ],
)
def test_marks(seconds: float, mark: str) -> None:
    assert took(seconds).mark == mark
    assert took(seconds).is_far_over is ("fails" in mark)
    assert table([took(seconds)]).endswith(mark or "10")


@pytest.mark.parametrize("line", ["one: true", "x one: true", "9 one", "9 one:", "-1 one: true"])
def test_a_line_that_is_no_section_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="not 'SECONDS"):
        Section.of(line)


def test_a_command_reads_no_other_section() -> None:
    assert run("99 one: cat\n99 two: true\n") == (0, ["one 99", "two 99"])


def test_the_sections_of_ci_are_targets_of_make_with_the_times_that_they_have() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for section in sections():
        program, *named = section.command.split()
        assert program == "make"
        assert set(named) <= targets
    times = {section.command: section.budget for section in sections()}
    assert times["make test"] == times["make test-oap"] == times["make test-oldest test-newest"] == 240
    assert times["make test-profiles accuracy-short"] == 180
    assert times["make test-page"] == times["make demo"] == 120
