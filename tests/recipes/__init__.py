"""The apps of the docs, asked in a process of their own: ``python -m tests.recipes wsgi`` where their files are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.scripts import told_by


def run(server: str, directory: Path) -> dict[str, Any]:
    """What becomes of the requests of the app there, asked by WSGI or ASGI."""
    return told_by(sys.executable, "tests.recipes", server, directory, 60)
