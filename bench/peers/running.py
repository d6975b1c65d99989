"""Runs workers: each peer's environment, the backend's process, and figures of several rounds."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.environments import interpreter
from bench.peers.variants import BARE, REQUIREMENTS
from tests.environments import environment

ROOT = Path(__file__).resolve().parents[2]
#: The last one that the official agent works on.
PYTHON = "3.11"
_SHARED = ("flask", "django", "starlette", "fastapi", "grpcio>=1.60", "protobuf>=4.25,<8")

#: By variant and name of a figure, its value in each round.
Figures = Mapping[str, Mapping[str, Sequence[float]]]


class Sink:
    """The backend's process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.peers.sink"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ports: list[int] = self._answer()

    def reset(self, endpoint: str = "") -> None:
        """Count from nothing; with a profile task for that endpoint, unless it is empty."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(endpoint) + "\n")
        self._process.stdin.flush()
        self._answer()

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=30)

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@contextmanager
def sink() -> Iterator[Sink]:
    """A backend for as long as this is entered."""
    running = Sink()
    try:
        yield running
    finally:
        running.close()


def work(sink: Sink, question: str, variant: str, framework: str, *options: object) -> dict[str, float]:
    """What a worker finds out.

    Raises:
        AssertionError: it failed.
    """
    python = environment("peer", interpreter(PYTHON), *_SHARED, *REQUIREMENTS[variant])
    command = ["-m", "bench.peers.worker", question, variant, framework, *map(str, (*sink.ports, *options))]
    done = subprocess.run([str(python), *command], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{variant}, {framework}:\n{done.stdout}{done.stderr}"
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def added(rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> Figures:
    """What each variant adds to the bare app of the same round.

    Args:
        rounds: in each, by variant, what its worker found.
    """
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for found in rounds:
        for variant in found.keys() - {BARE}:
            for name, value in found[variant].items():
                figures[variant][name].append(value - found[BARE][name])
    return figures


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The median, and in brackets the least and the most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
