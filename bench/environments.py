"""An environment for each version of Python that is measured, made once."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests import environments

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""What is supported, oldest first."""
REQUIREMENTS = Path(__file__).resolve().parent / "requirements.txt"


def interpreter(version: str) -> str:
    """The command of CPython ``3.X``: this one, one on the PATH, or one that pyenv has.

    Raises:
        LookupError: there is none on this machine.
    """
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    candidates = [shutil.which(f"python{version}"), *map(str, _pyenv(version))]
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    raise LookupError(f"no Python {version} on this machine")


def available() -> list[str]:
    """The supported versions that this machine has, oldest first."""
    found = []
    for version in PYTHONS:
        try:
            interpreter(version)
        except LookupError:
            continue
        found.append(version)
    return found


def environment(version: str) -> str:
    """The interpreter of an environment of that version with everything that is measured; made if it is not there.

    Raises:
        LookupError: there is no such Python on this machine.
        AssertionError: the packages cannot be installed.
    """
    lines = REQUIREMENTS.read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    return str(environments.environment("bench", interpreter(version), *wanted))


def _pyenv(version: str) -> list[Path]:
    versions = Path.home() / ".pyenv" / "versions"
    pattern = re.compile(re.escape(version) + r"\.\d+")
    found = [one for one in versions.glob(f"{version}.*") if pattern.fullmatch(one.name)]
    return [one / "bin" / "python" for one in sorted(found)]
