"""What is said to be supported is what is tested: the package's bounds, the locks, the page and the README agree."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from bench.environments import PYTHONS
from scripts.locks import LIBRARIES, PAGE, pins, table

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text()
README = (ROOT / "README.md").read_text()


def bounds() -> dict[str, Version]:
    """The oldest version of each library that the package asks for, or is tested with."""
    extras = PYPROJECT.partition("[project.optional-dependencies]")[2].partition("# What the tests")
    asked = PYPROJECT.partition("[project.optional-dependencies]")[0] + extras[0]
    tested = extras[2].partition("\ndev = [")[0]
    found: dict[str, Version] = {}
    for text in re.findall(r'"([\w-]+>=[^"]+)"', tested) + re.findall(r'"([\w-]+>=[^"]+)"', asked):
        requirement = Requirement(text)
        [lowest] = [each.version for each in requirement.specifier if each.operator == ">="]
        found[requirement.name] = Version(lowest)
    return found


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_oldest_lock_has_the_oldest_version_that_is_asked_for(name: str) -> None:
    assert Version(pins("oldest", PYTHONS[0])[name]) == bounds()[name]


@pytest.mark.parametrize("python", PYTHONS)
def test_both_locks_have_the_same_packages_but_for_what_old_ones_need_themselves(python: str) -> None:
    oldest, newest = pins("oldest", python), pins("newest", python)
    assert set(LIBRARIES) <= oldest.keys() & newest.keys()
    assert all(Version(oldest[name]) <= Version(newest[name]) for name in LIBRARIES)


def test_the_page_has_what_the_locks_have() -> None:
    assert table() in PAGE.read_text(), "run `make locks`"


@pytest.mark.parametrize(("name", "shown"), LIBRARIES.items())
def test_the_readme_says_which_is_the_oldest(name: str, shown: str) -> None:
    oldest = re.search(rf"\b{shown} (\d[\d.]*\d)", README)
    assert oldest, f"the README does not say which {shown} is the oldest"
    assert Version(oldest[1]) == bounds()[name]


def test_the_pythons_are_those_that_the_package_and_the_readme_name() -> None:
    assert re.findall(r"Programming Language :: Python :: (3\.\d+)", PYPROJECT) == list(PYTHONS)
    assert f'requires-python = ">={PYTHONS[0]}"' in PYPROJECT
    assert f"CPython {PYTHONS[0]} to {PYTHONS[-1]}" in README


def test_the_tests_run_with_what_is_locked_if_that_was_installed() -> None:
    """In a job of the matrix: nothing has moved on beside the lock."""
    have = {name: metadata.version(name) for name in LIBRARIES}
    assert all(Version(version) >= bounds()[name] for name, version in have.items()), have
