"""Runs workers: each peer's environment, the backend's process, and figures of several rounds."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from bench.environments import interpreter
from bench.partner import Partner
from bench.peers.variants import BARE, FEWER, REQUIREMENTS
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


@contextmanager
def sinks(variants: Iterable[str]) -> Iterator[dict[str, Sink]]:
    """One for each variant."""
    with ExitStack() as stack:
        yield {variant: stack.enter_context(sink()) for variant in variants}


def work(
    sink: Sink, question: str, variant: str, framework: str, *options: object, python: str = ""
) -> dict[str, float]:
    """What a worker finds out, once.

    Args:
        python: the interpreter that runs it; empty: one of the peer's own environment.

    Raises:
        AssertionError: it failed.
    """
    worker = _worker(sink, question, variant, framework, *options, python=python)
    found: dict[str, float] = worker.greeting
    worker.close()
    return found


def by_turns(
    sinks: Mapping[str, Sink], framework: str, rounds: int, requests: int, options: Mapping[str, Sequence[object]]
) -> list[dict[str, dict[str, float]]]:
    """In each of so many rounds, by variant, what so many requests took.

    All variants' processes are there at once, and work one after the other, some tenths of a second each: whatever
    slows the machine for longer, slows them alike.

    Args:
        sinks: by variant, where it reports.
        options: by variant, of its worker.
    """
    with ExitStack() as stack:
        workers: dict[str, Partner] = {}
        for variant, more in options.items():
            workers[variant] = worker = _worker(sinks[variant], "requests", variant, framework, *more)
            stack.callback(worker.close)
        counts = {variant: min(requests, FEWER.get(variant, requests)) for variant in workers}
        return [{variant: worker.tell(counts[variant]) for variant, worker in workers.items()} for _ in range(rounds)]


def _worker(sink: Sink, question: str, variant: str, framework: str, *options: object, python: str = "") -> Partner:
    python = python or str(environment("peer", interpreter(PYTHON), *_SHARED, *REQUIREMENTS[variant]))
    arguments = (question, variant, framework, *sink.ports, *options)
    return Partner("bench.peers.worker", arguments, python, is_heard=True)


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


def middle(values: Sequence[float], digits: int = 1) -> str:
    """Of many values the median, and in brackets what half of them lie between."""
    low, median, high = statistics.quantiles(values, n=4)
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
