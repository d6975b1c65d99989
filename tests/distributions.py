"""The wheel and the sdist: built, and looked into."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.environments import environment

#: What no commit has, and no distribution either.
_LEFT_BEHIND = ("__pycache__", ".mypy_cache", ".ruff_cache", "node_modules")


def build(source: Path, target: Path, *kinds: str) -> None:
    """Build out of a tree; ``kinds`` are ``wheel`` and ``sdist``, by default both."""
    python = environment("build", sys.executable, "hatchling")
    chosen = [word for kind in kinds for word in ("-t", kind)]
    command = [str(python), "-m", "hatchling", "build", "-d", str(target), *chosen]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def wheel_in(directory: Path) -> Path:
    """The one that is there."""
    [wheel] = directory.glob("*.whl")
    return wheel


def sdist_in(directory: Path) -> Path:
    """The one that is there."""
    [sdist] = directory.glob("*.tar.gz")
    return sdist


def contents(wheel: Path) -> dict[str, bytes]:
    """Each file of a wheel, by its name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def unpacked(directory: Path) -> Path:
    """The tree of the sdist that is there."""
    sdist = sdist_in(directory)
    tree = directory / sdist.name.removesuffix(".tar.gz")
    if not tree.exists():
        with tarfile.open(sdist) as archive:
            archive.extractall(directory, filter="data")
    return tree


def files(directory: Path, root: Path) -> set[str]:
    """The names of all files in a directory, from ``root`` on, but for what tools have left behind."""
    found = (path.relative_to(root) for path in directory.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if not set(_LEFT_BEHIND) & set(path.parts)}
