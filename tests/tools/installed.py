"""Tools of npm and Go at fixed versions. A missing ``node`` or ``go`` is a failure, never a skip."""

from __future__ import annotations

import fcntl
import functools
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.environments import CACHE

SPEEDSCOPE = "speedscope@1.25.0"
PYRIGHT = "pyright@1.1.414"
PPROF = "github.com/google/pprof@v0.0.0-20261016150608-1facf8f91b50"
IMPORTER = Path(__file__).with_name("speedscope.js")


@functools.cache
def speedscope() -> Path:
    """The program of speedscope's page."""
    directory = _from_npm(SPEEDSCOPE)
    (bundle,) = (directory / "node_modules/speedscope/dist/release").glob("speedscope-*.js")
    return bundle


@functools.cache
def pyright() -> Path:
    """The program ``pyright``, for ``node``."""
    return _from_npm(PYRIGHT) / "node_modules/pyright/index.js"


@functools.cache
def pprof() -> Path:
    """The program ``pprof``."""
    return _made("pprof-1facf8f91b50", {"GOBIN": "."}, "go", "install", PPROF) / "pprof"


def output(*command: str | Path) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


def _from_npm(package: str) -> Path:
    """A directory with this package below ``node_modules``."""
    command = ("npm", "install", "--no-audit", "--no-fund", "--prefix", ".", package)
    return _made(package.replace("@", "-"), {}, *command)


def _made(name: str, paths: Mapping[str, str], *command: str) -> Path:
    """A directory that ``command`` has filled once; ``paths`` are variables with places below it."""
    directory = CACHE / name
    directory.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "complete").exists():
            environ = {**os.environ, **{key: str(directory / place) for key, place in paths.items()}}
            done = subprocess.run(
                command, cwd=directory, env=environ, capture_output=True, text=True, check=False, timeout=600
            )
            assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
            (directory / "complete").touch()
    return directory
