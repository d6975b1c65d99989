"""Virtual environments that some tests need, made on demand outside of the tree and kept for the next time."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "swprof-test"


def environment(name: str, python: str, *requirements: str) -> Path:
    """The interpreter of an environment with these requirements, for pip; made by the interpreter ``python``."""
    digest = hashlib.sha256("\n".join([_version(python), *requirements]).encode()).hexdigest()[:12]
    directory = CACHE / f"{name}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}-{digest}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        interpreter = directory / "bin" / "python"
        # It may link to the interpreter of another environment, which somebody has removed since.
        if not ((directory / "complete").exists() and interpreter.exists()):
            shutil.rmtree(directory, ignore_errors=True)
            _run(python, "-m", "venv", str(directory))
            quiet = ("--quiet", "--disable-pip-version-check")
            _run(str(interpreter), "-m", "pip", "install", *quiet, *requirements)
            (directory / "complete").touch()
    return interpreter


@functools.cache
def python_3_11() -> str | None:
    """An interpreter of Python 3.11: this one, or the one on the path; None if there is none that runs."""
    for candidate in (sys.executable, shutil.which("python3.11")):
        if candidate and _version(candidate).startswith("3.11."):
            return candidate
    return None


def _version(python: str) -> str:
    """Its version, for example ``3.11.7``; empty if it does not run."""
    code = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, timeout=60).stdout.strip()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
