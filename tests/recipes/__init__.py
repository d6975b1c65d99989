"""The apps of the docs, asked in a process of their own: ``python -m tests.recipes wsgi`` where their files are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


def run(server: str, directory: Path) -> dict[str, Any]:
    """What becomes of the requests of the app there, asked by WSGI or ASGI."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.recipes", server],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
