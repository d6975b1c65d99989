"""Runs workers: each peer's environment, the backend's process, and figures of several rounds."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bench.environments import interpreter
from bench.partner import ROOT, Partner
from bench.peers.variants import BARE, REQUIREMENTS
from tests.environments import environment

#: The last one that the official agent works on.
PYTHON = "3.11"
_SHARED = ("flask", "django", "starlette", "fastapi", "grpcio>=1.60", "protobuf>=4.25,<8")

#: By variant and name of a figure, its value in each round.
Figures = Mapping[str, Mapping[str, Sequence[float]]]


class Sink:
    """The backend's process.

    Attributes:
        ports: that it listens on, of gRPC and of HTTP.
    """

    def __init__(self) -> None:
        self._partner = Partner("bench.peers.sink")
        self.ports: list[int] = self._partner.greeting

    def reset(self, endpoint: str = "") -> None:
        """Count from nothing; with a profile task for that endpoint, unless it is empty."""
        self._partner.tell(endpoint)

    def close(self) -> None:
        """End it."""
        self._partner.close()


@contextmanager
def sink() -> Iterator[Sink]:
    """A backend for as long as this is entered."""
    running = Sink()
    try:
        yield running
    finally:
        running.close()


def work(
    sink: Sink, question: str, variant: str, framework: str, *options: object, python: str = ""
) -> dict[str, float]:
    """What a worker finds out.

    Args:
        python: the interpreter that runs it; empty: one of the peer's own environment.

    Raises:
        AssertionError: it failed.
    """
    python = python or str(environment("peer", interpreter(PYTHON), *_SHARED, *REQUIREMENTS[variant]))
    command = ["-m", "bench.peers.worker", question, variant, framework, *map(str, (*sink.ports, *options))]
    done = subprocess.run([python, *command], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
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
