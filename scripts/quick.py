"""The tests of what has changed, the nearest first, as many as begin within some seconds: ``make quick``.

What has changed is what differs from the branch that this one left, and what is not committed yet.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Nothing that takes long, needs other tools, or wants the machine for itself.
MARKS = "not (oap or tools or accuracy or processes or page or installed or agents or profiles or alone or slow)"
#: What is not Python, and the tests that read it.
READERS = {
    "docs/": ["tests/test_docs.py"],
    "proto/": ["tests/test_protocol.py"],
    ".github/": ["tests/project"],
    ".importlinter": ["tests/project"],
    "CHANGELOG.md": ["tests/project"],
    "CONTRIBUTING.md": ["tests/project"],
    "Makefile": ["tests/project"],
    "README.md": ["tests/test_docs.py"],
    "requirements/": ["tests/test_versions.py"],
    "scripts/": ["tests/project"],
    "swprof_mw/page/static/": ["tests/test_page_server.py"],
}


def changed(root: Path, base: str) -> list[str]:
    """The paths of the files that differ from where the branch left ``base``, or on it itself from the last commit."""
    if base and not _git(root, "rev-parse", "--verify", "--quiet", base):
        base = ""
    since = _git(root, "merge-base", "HEAD", base)[0] if base else "HEAD"
    found = {*_git(root, "diff", "--name-only", since), *_git(root, "ls-files", "--others", "--exclude-standard")}
    return sorted(found or _git(root, "diff", "--name-only", "HEAD~1"))


def _git(root: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout.splitlines()


def imported(path: Path) -> set[str]:
    """The modules that a file of Python imports, anywhere in it; of ``from a import b`` both ``a`` and ``a.b``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update((node.module, *(f"{node.module}.{each.name}" for each in node.names)))
    return found


def chosen(root: Path, paths: Iterable[str]) -> list[str]:
    """The files of tests for changed files: those changed themselves, then by name, then by what they import."""
    there = [path for path in paths if (root / path).exists()]
    tests = sorted(path.relative_to(root).as_posix() for path in (root / "tests").glob("**/test_*.py"))
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in there if _is_code(path)}
    own = [path for path in there if path in tests]
    named = [test for test in tests if any(_is_named_after(test, module) for module in modules)]
    importing = [test for test in tests if modules & imported(root / test)]
    return list(dict.fromkeys((*own, *_readers(there), *named, *importing)))


def _is_code(path: str) -> bool:
    return path.endswith(".py") and path.startswith(("swprof_mw/", "tests/", "bench/", "scripts/"))


def _is_named_after(test: str, module: str) -> bool:
    """``test_sampler`` is of ``profiling.sampler``, and ``test_asgi_names`` of all of ``asgi``."""
    name = Path(test).stem.removeprefix("test_")
    _, *rooms = module.split(".")
    return bool(rooms) and (name == rooms[-1] or name.split("_")[0] in rooms)


def _readers(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        for beginning, readers in READERS.items():
            if path.startswith(beginning):
                yield from readers


def main(arguments: list[str] | None = None) -> int:
    """Run them; pytest's status, and 0 if there is nothing to run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="main", help="the branch that this one left (main)")
    parser.add_argument("--within", default="35", help="no test begins after so many seconds (35)")
    told = parser.parse_args(arguments)
    files = chosen(ROOT, changed(ROOT, told.base))
    print("tests of what has changed:", *(files or ["none"]))
    if not files:
        return 0
    options = ("-q", "-m", MARKS, "-n", "2", "--dist", "worksteal", "-p", "tests.within", f"--within={told.within}")
    status = subprocess.run([sys.executable, "-m", "pytest", *options, *files], cwd=ROOT, check=False).returncode  # noqa: S603
    return 0 if status == 5 else status  # 5: all of them are of the kinds that are left out


if __name__ == "__main__":
    sys.exit(main())
