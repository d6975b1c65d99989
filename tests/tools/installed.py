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
PPROF = "github.com/google/pprof@v0.0.0-20261016150608-1facf8f91b50"
IMPORTER = Path(__file__).with_name("speedscope.js")


@functools.cache
def speedscope() -> Path:
    """The program of speedscope's page."""
    directory = _made("speedscope-1.25.0", {}, "npm", "install", "--no-audit", "--no-fund", "--prefix", ".", SPEEDSCOPE)
    (bundle,) = (directory / "node_modules/speedscope/dist/release").glob("speedscope-*.js")
    return bundle


@functools.cache
def pprof() -> Path:
    """The program ``pprof``."""
    return _made("pprof-1facf8f91b50", {"GOBIN": "."}, "go", "install", PPROF) / "pprof"


def output(*command: str | Path) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


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
