"""A release, made in a clone of the tree. The suites, which take hours, are stubs: a `make` that notes its words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.release import SUITES

ROOT = Path(__file__).resolve().parent.parent.parent
VERSION = "0.2.0"
CHANGELOG = "# Changelog\n\n## 0.2.0 (unreleased)\n\n### Added\n- A thing.\n\n## 0.1.0 (2020-01-01)\n\n- All of it.\n"
MAKE = """#!/bin/sh
echo "$@" >> "$MADE"
test "$1" != "$BROKEN"
"""


class Clone:
    """A checkout on main, with a version 0.1.0 that was released, and a `make` of its own.

    Args:
        directory: empty; has the checkout in ``clone`` and where it was cloned from in ``origin.git``.
    """

    def __init__(self, directory: Path) -> None:
        self.root = directory / "clone"
        self.made = directory / "made"
        (directory / "bin").mkdir()
        (directory / "bin" / "make").write_text(MAKE)
        (directory / "bin" / "make").chmod(0o755)
        self._path = f"{directory / 'bin'}{os.pathsep}{os.environ['PATH']}"
        who = {f"GIT_{role}_{part}": "x@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        self._environment = {**os.environ, **who, "PATH": self._path, "MADE": str(self.made), "PYTHONPATH": ""}

    def git(self, *arguments: str) -> str:
        """What a command of git prints."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=self._environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, path: str, text: str) -> None:
        """A file as it is from now on."""
        (self.root / path).write_text(text)
        self.git("commit", "--all", "--message", "A change")

    def release(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        command = [sys.executable, "-m", "scripts.release", *arguments]
        every = {**self._environment, **environment}
        return subprocess.run(command, cwd=self.root, env=every, capture_output=True, text=True, timeout=100)

    @property
    def suites(self) -> list[str]:
        """What make was asked for."""
        return self.made.read_text().splitlines() if self.made.exists() else []

    @property
    def state(self) -> tuple[str, str, str]:
        """The last commit, what is not committed, and the tags."""
        return self.git("rev-parse", "HEAD"), self.git("status", "--porcelain"), self.git("tag")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository with the files of this tree, those that are not committed too."""
    directory = tmp_path_factory.mktemp("origin")
    clone = Clone(directory)
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for path in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / path).exists():
            (clone.root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, clone.root / path)
    (clone.root / "CHANGELOG.md").write_text(CHANGELOG)
    clone.git("init", "--initial-branch", "main")
    clone.git("add", ".")
    clone.git("commit", "--message", "All")
    clone.git("tag", "v0.1.0")
    clone.git("clone", "--bare", ".", str(directory / "origin.git"))
    return directory / "origin.git"


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Clone:
    """A clone of its own."""
    shutil.copytree(origin, tmp_path / "origin.git")
    subprocess.run(["git", "clone", "-q", tmp_path / "origin.git", tmp_path / "clone"], check=True)
    return Clone(tmp_path)


@contextmanager
def index() -> Iterator[tuple[str, list[bytes]]]:
    """A package index: its address, and what was uploaded to it."""
    uploads: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            uploads.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not into the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", uploads
        server.shutdown()
        thread.join()


def test_a_release(clone: Clone) -> None:
    with index() as (url, uploads):
        done = clone.release(VERSION, TWINE_REPOSITORY_URL=url, TWINE_USERNAME="somebody", TWINE_PASSWORD="secret")
    assert done.returncode == 0, done.stdout + done.stderr
    assert clone.suites == list(SUITES)
    assert f'__version__ = "{VERSION}"' in (clone.root / "swprof_mw" / "__init__.py").read_text()
    assert (clone.root / "CHANGELOG.md").read_text() == CHANGELOG.replace("unreleased", date.today().isoformat())
    assert clone.git("log", "-1", "--format=%s") == f"Release {VERSION}"
    assert clone.git("rev-parse", f"v{VERSION}^{{commit}}") == clone.git("rev-parse", "HEAD")
    assert not clone.git("status", "--porcelain")
    built = sorted(path.name for path in (clone.root / "dist" / VERSION).iterdir())
    assert built == [f"swprof_mw-{VERSION}-py3-none-any.whl", f"swprof_mw-{VERSION}.tar.gz"]
    assert done.stdout.count("PASSED") == 2  # twine's word for each
    assert not uploads
    assert clone.git("ls-remote", "origin", f"v{VERSION}") == ""


def test_publishing_uploads_both_and_pushes_the_tag(clone: Clone) -> None:
    with index() as (url, uploads):
        account = {"TWINE_USERNAME": "somebody", "TWINE_PASSWORD": "secret"}
        done = clone.release(VERSION, "--publish", TWINE_REPOSITORY_URL=url, **account)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(b'filename="swprof_mw-0.2.0.tar.gz"' in upload for upload in uploads) == [False, True]
    assert clone.git("ls-remote", "origin", f"v{VERSION}")
    assert clone.git("ls-remote", "origin", "main").split()[0] == clone.git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("1.0 beta", "is no version by PEP 440"),
        ("0.2.0-rc1", "is written '0.2.0rc1'"),
        ("0.2.0+mine", "without a local part"),
        ("0.1.0", "is not newer than 0.1.0, the last release"),
        ("0.0.9", "is not newer than 0.1.0, the last release"),
    ],
)
def test_versions_that_are_refused(clone: Clone, version: str, reason: str) -> None:
    before = clone.state
    done = clone.release(version)
    assert done.returncode == 1
    assert reason in done.stderr
    assert (clone.suites, clone.state) == ([], before)


@pytest.mark.parametrize(
    ("changelog", "reason"),
    [
        ("# Changelog\n", "must begin with its one section '## 0.2.0 (unreleased)'"),
        (CHANGELOG.replace("unreleased", "2020-02-02"), "must begin with its one section"),
        (CHANGELOG + "\n## 0.0.1 (unreleased)\n\n- Older.\n", "must begin with its one section"),
        (CHANGELOG.replace("- A thing.", ""), "the changelog says nothing of what is released"),
        (CHANGELOG.replace("0.1.0", VERSION), "the changelog has a section of 0.2.0 already"),
    ],
)
def test_changelogs_that_are_refused(clone: Clone, changelog: str, reason: str) -> None:
    clone.commit("CHANGELOG.md", changelog)
    before = clone.state
    done = clone.release(VERSION)
    assert done.returncode == 1
    assert reason in done.stderr
    assert (clone.suites, clone.state) == ([], before)


def test_it_is_made_of_a_clean_main(clone: Clone) -> None:
    clone.git("switch", "--create", "branch")
    (clone.root / "README.md").write_text("changed")
    done = clone.release(VERSION)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "releases are made of main, this is branch",
        "the tree is not clean: commit or stash what git status shows",
    ]


def test_only_checks_changes_nothing(clone: Clone) -> None:
    before = clone.state
    done = clone.release(VERSION, "--only-checks")
    assert done.returncode == 0, done.stderr
    assert "nothing stands in the way of 0.2.0" in done.stdout
    assert (clone.suites, clone.state) == ([], before)


@pytest.mark.parametrize("suite", [SUITES[0], SUITES[-1]])
def test_a_suite_that_fails_leaves_the_tree_as_it_was(clone: Clone, suite: str) -> None:
    before = clone.state
    done = clone.release(VERSION, BROKEN=suite)
    assert done.returncode == 1
    assert f"make {suite} failed" in done.stderr
    assert clone.suites[-1] == suite
    assert clone.state == before


def test_what_the_index_would_not_show_is_not_released(clone: Clone) -> None:
    before = clone.git("tag")
    clone.commit("README.md", "")  # twine warns of a description that is not there, and `--strict` makes it an error
    done = clone.release(VERSION)
    assert done.returncode == 1
    assert "twine check" in done.stderr
    assert (clone.git("tag"), clone.git("status", "--porcelain")) == (before, "")
