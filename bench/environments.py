"""An environment for each version of Python that is measured, made once."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "bench" / "requirements.txt"


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
    for version in ("3.10", "3.11", "3.12", "3.13"):
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
        subprocess.CalledProcessError: the packages cannot be installed.
    """
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    directory = ROOT / f".venv-bench-{version}"
    python, done = directory / "bin" / "python", directory / f".done-{wanted}"
    if not done.exists():
        subprocess.run([interpreter(version), "-m", "venv", "--clear", str(directory)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", str(REQUIREMENTS)], check=True)
        done.touch()
    return str(python)


def _pyenv(version: str) -> list[Path]:
    versions = Path.home() / ".pyenv" / "versions"
    pattern = re.compile(re.escape(version) + r"\.\d+")
    found = [one for one in versions.glob(f"{version}.*") if pattern.fullmatch(one.name)]
    return [one / "bin" / "python" for one in sorted(found)]


if __name__ == "__main__":
    # The interpreter of that version, or the oldest there is.
    wanted = sys.argv[1]
    print(interpreter(wanted if wanted in available() else available()[0]))
