"""Make a release out of main, by one command: ``make release VERSION=1.2.0``.

Checks the version, the changelog and the tree; sets the version and dates the changelog; runs every suite; builds the
wheel and the sdist and checks them; commits and tags. Nothing leaves this machine without ``--publish``. What fails
leaves the tree as it was.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parent.parent
SUITES = (
    *("test", "docs", "test-docs", "test-costs", "test-profiles"),
    *("test-oap", "test-tools", "test-page", "before-release"),
)
"""What has to pass, as targets of make: some hours."""

_HEADING = re.compile(r"^## (?P<version>\S+) \((?P<when>[^)]*)\)$", re.MULTILINE)
_ASSIGNED = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)
_UNRELEASED = "unreleased"


class ReleaseError(Exception):
    """What stands in the way of a release, in words for the person who makes it."""


class Checkout(NamedTuple):
    """A checkout of the project, with its own Python in use."""

    root: Path

    @property
    def changelog(self) -> Path:
        """What users read of a version."""
        return self.root / "CHANGELOG.md"

    @property
    def package(self) -> Path:
        """Where the version is written."""
        return self.root / "swprof_mw" / "__init__.py"

    def git(self, *arguments: str) -> str:
        """What a command of git prints.

        Raises:
            ReleaseError: it failed.
        """
        done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True, check=False)  # noqa: S603, S607
        if done.returncode:
            raise ReleaseError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def run(self, *command: str) -> None:
        """Run something whose output the person is to see.

        Raises:
            ReleaseError: it failed.
        """
        print(f"\n--- {' '.join(command)}", flush=True)
        if subprocess.run(command, cwd=self.root, check=False).returncode:  # noqa: S603
            raise ReleaseError(f"{' '.join(command)} failed")

    def python(self, *arguments: str) -> None:
        """As `run`, with this Python."""
        self.run(sys.executable, *arguments)


def problems(checkout: Checkout, text: str) -> Iterator[str]:
    """All that stands in the way of a release of that version, without changing anything."""
    yield from _of_version(text, [tag.removeprefix("v") for tag in checkout.git("tag", "--list", "v*").splitlines()])
    branch = checkout.git("branch", "--show-current")
    if branch != "main":
        yield f"releases are made of main, this is {branch or 'no branch'}"
    if checkout.git("status", "--porcelain"):
        yield "the tree is not clean: commit or stash what git status shows"
    yield from _of_changelog(checkout.changelog.read_text(encoding="utf-8"), text)


def _of_version(text: str, released: list[str]) -> Iterator[str]:
    try:
        version = Version(text)
    except InvalidVersion:
        yield f"{text!r} is no version by PEP 440"
        return
    if str(version) != text or version.local:
        yield f"{text!r} is written {version.public!r} by PEP 440, without a local part"
    newest = max(map(Version, released), default=None)
    if newest is not None and version <= newest:
        yield f"{text} is not newer than {newest}, the last release"


def _of_changelog(changelog: str, text: str) -> Iterator[str]:
    headings = list(_HEADING.finditer(changelog))
    unreleased = [each for each in headings if each["when"] == _UNRELEASED]
    if len(unreleased) != 1 or unreleased[0] is not headings[0]:
        yield f"CHANGELOG.md must begin with its one section '## {text} ({_UNRELEASED})'"
        return
    end = headings[1].start() if len(headings) > 1 else len(changelog)
    if not re.search(r"^- \S", changelog[unreleased[0].end() : end], re.MULTILINE):
        yield "the changelog says nothing of what is released"
    if any(each["version"] == text for each in headings[1:]):
        yield f"the changelog has a section of {text} already"


@contextlib.contextmanager
def prepared(checkout: Checkout, version: str, today: date) -> Iterator[None]:
    """The version is set and the changelog dated; put back if what follows fails.

    Raises:
        ReleaseError: the package does not say that version now.
    """
    before = {path: path.read_text(encoding="utf-8") for path in (checkout.package, checkout.changelog)}
    try:
        dated = f"## {version} ({today.isoformat()})"
        written = _ASSIGNED.sub(f'__version__ = "{version}"', before[checkout.package])
        checkout.package.write_text(written, encoding="utf-8")
        checkout.changelog.write_text(_HEADING.sub(dated, before[checkout.changelog], count=1), encoding="utf-8")
        said = _version_of(checkout)
        if said != version:
            raise ReleaseError(f"swprof_mw.__version__ is {said!r}, not {version!r}")
        yield
    except BaseException:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")
        raise


def _version_of(checkout: Checkout) -> str:
    command = [sys.executable, "-c", "import swprof_mw; print(swprof_mw.__version__)"]
    return subprocess.run(command, cwd=checkout.root, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def built(checkout: Checkout, version: str) -> list[str]:
    """The wheel and the sdist of this version, made anew and checked.

    Raises:
        ReleaseError: one was not built, is not of that version, or would not be shown well by the index.
    """
    directory = checkout.root / "dist" / version
    for old in directory.glob("*"):
        old.unlink()
    checkout.python("-m", "hatchling", "build", "-d", str(directory))
    files = sorted(path.name for path in directory.iterdir())
    if files != [f"swprof_mw-{version}-py3-none-any.whl", f"swprof_mw-{version}.tar.gz"]:
        raise ReleaseError(f"built was {', '.join(files)}")
    paths = [str(directory / name) for name in files]
    checkout.python("-m", "twine", "check", "--strict", *paths)
    return paths


def release(checkout: Checkout, version: str, today: date) -> list[str]:
    """Test, build, commit and tag; the paths of what was built.

    Raises:
        ReleaseError: something failed; the tree is as it was.
    """
    with prepared(checkout, version, today):
        for suite in SUITES:
            checkout.run("make", suite)
        files = built(checkout, version)
        checkout.git("commit", "--all", "--message", f"Release {version}")
    checkout.git("tag", "--annotate", f"v{version}", "--message", f"Release {version}")
    return files


def publish(checkout: Checkout, version: str, files: list[str]) -> None:
    """Upload what was built, then the commit and its tag: an index keeps for ever what it has, a branch can wait.

    Raises:
        ReleaseError: one of both was refused.
    """
    checkout.python("-m", "twine", "upload", "--non-interactive", *files)
    checkout.run("git", "push", "--atomic", "origin", "main", f"v{version}")


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Make the release; 1, with the reasons on stderr, if it cannot be made."""
    parser = argparse.ArgumentParser(prog="release", description=__doc__)
    parser.add_argument("version")
    parser.add_argument("--only-checks", action="store_true", help="say what stands in the way, and change nothing")
    parser.add_argument("--publish", action="store_true", help="upload to the index and push, once all has passed")
    told = parser.parse_args(arguments)
    checkout = Checkout(root)
    try:
        found = list(problems(checkout, told.version))
        if found:
            raise ReleaseError("\n".join(found))
        if told.only_checks:
            print(f"nothing stands in the way of {told.version}; not run: make {' '.join(SUITES)}")
            return 0
        files = release(checkout, told.version, date.today())
        if told.publish:
            publish(checkout, told.version, files)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    done = "published" if told.publish else "tagged here, and not uploaded"
    print(f"\n{told.version} is {done}:", *files, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
