"""What make quick runs: the tests of what has changed, and no test that begins too late."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import quick

ROOT = Path(__file__).resolve().parent.parent.parent


def git(root: Path, *arguments: str) -> None:
    """A commit needs somebody who makes it."""
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout on its main branch."""
    for path, text in {
        "swprof_mw/span.py": "",
        "swprof_mw/asgi/head.py": "",
        "tests/test_span.py": "",
        "tests/test_asgi_names.py": "",
        "tests/test_wide.py": "import os\n\ndef test_it():\n    from swprof_mw import span\n",
        "tests/test_other.py": "import swprof_mw.names\n",
        "docs/index.md": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    git(tmp_path, "init", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "All")
    return tmp_path


def test_on_main_what_is_not_committed_counts(tree: Path) -> None:
    (tree / "swprof_mw" / "span.py").write_text("# changed\n")
    (tree / "new.py").write_text("")
    assert quick.changed(tree, "main") == ["new.py", "swprof_mw/span.py"]


def test_on_a_branch_its_commits_count_too(tree: Path) -> None:
    git(tree, "switch", "-c", "branch")
    (tree / "swprof_mw" / "span.py").write_text("# changed\n")
    git(tree, "commit", "-am", "Span")
    (tree / "docs" / "index.md").write_text("more\n")
    assert quick.changed(tree, "main") == ["docs/index.md", "swprof_mw/span.py"]


def test_without_such_a_branch_and_any_change_the_last_commit_counts(tree: Path) -> None:
    (tree / "swprof_mw" / "span.py").write_text("# changed\n")
    git(tree, "commit", "-am", "Span")
    assert quick.changed(tree, "elsewhere") == ["swprof_mw/span.py"]


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("swprof_mw/span.py", ["test_span.py", "test_wide.py"]),
        ("swprof_mw/asgi/head.py", ["test_asgi_names.py"]),
        ("tests/test_other.py", ["test_other.py"]),
        ("docs/index.md", ["test_docs.py"]),
        ("swprof_mw/gone.py", []),
        ("LICENSE", []),
    ],
)
def test_tests_are_chosen_by_name_and_import(tree: Path, path: str, tests: list[str]) -> None:
    assert quick.chosen(tree, [path]) == [f"tests/{name}" for name in tests]


def test_what_is_changed_itself_comes_first(tree: Path) -> None:
    paths = ["swprof_mw/span.py", "tests/test_other.py"]
    assert quick.chosen(tree, paths)[0] == "tests/test_other.py"


def test_every_reader_is_there() -> None:
    assert all((ROOT / test).exists() for tests in quick.READERS.values() for test in tests)


SLEEPS = """
import time
import pytest

@pytest.mark.parametrize("number", range(4))
def test_sleeps(number):
    time.sleep(0.6)
"""


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "a worker"])
def test_no_test_begins_too_late(tmp_path: Path, workers: list[str]) -> None:
    (tmp_path / "test_sleeps.py").write_text(SLEEPS)
    options = ("-q", "-p", "no:cacheprovider", "-p", "tests.within", "--within=0.5", "--rootdir", str(tmp_path))
    command = [sys.executable, "-m", "pytest", *options, *workers, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert "3 tests were not begun within 0.5 s" in done.stdout
    assert done.returncode == 0


def test_with_time_enough_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("def test_one():\n    pass\n")
    options = ("-q", "-p", "no:cacheprovider", "-p", "tests.within", "--within=50", "--rootdir", str(tmp_path))
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "1 passed" in done.stdout
    assert "not begun" not in done.stdout
