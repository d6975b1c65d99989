"""A process of a benchmark's own that is talked to in lines of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Partner:
    """``python -m MODULE``, which says one line at its start, and then one for each that it is told.

    Args:
        module: answers on its standard output what comes on its standard input, until that ends.
        arguments: its command line.
        python: the interpreter that runs it.
        is_heard: whether what it writes on its standard error is passed on.

    Attributes:
        greeting: what it said at its start.
    """

    def __init__(
        self, module: str, arguments: Sequence[object] = (), python: str = sys.executable, is_heard: bool = False
    ) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [python, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if is_heard else subprocess.DEVNULL,
            text=True,
        )
        self.greeting = self._answer()

    def tell(self, what: Any) -> Any:
        """Its answer to this."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=30)

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self._module} has ended, with status {self._process.wait()}"
        return json.loads(line)
