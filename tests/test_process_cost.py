"""What a process costs with us, beside the same one without. The bounds are promises to users."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.peers.running import Sink, sink, work
from bench.peers.variants import BARE, OURS
from bench.process_cost import MOST_FIRST, MOST_IDLE, MOST_IMPORT

pytestmark = [pytest.mark.alone, pytest.mark.costs]

ROUNDS = 5
#: Seconds without a request.
IDLE = 3
#: MB; 60 % of the least that the official agent has been measured to add.
MOST_MEMORY = 20.0
MOST = {"memory": MOST_MEMORY, "import": MOST_IMPORT, "first": MOST_FIRST, "idle": MOST_IDLE, "threads": 1, "grpc": 0}


@pytest.fixture(scope="module")
def backend() -> Iterator[Sink]:
    with sink() as running:
        yield running


@pytest.mark.parametrize("framework", ["flask", "django", "fastapi"])
def test_a_process_costs_no_more_than_promised(backend: Sink, framework: str) -> None:
    """Other processes only ever add to what one costs: the best of some rounds counts, with us and without."""
    rounds: list[dict[str, dict[str, float]]] = []
    for _ in range(ROUNDS):
        rounds.append(measured(backend, framework))
        added = {name: best(rounds, OURS, name) - best(rounds, BARE, name) for name in MOST}
        if all(added[name] <= most for name, most in MOST.items()):
            return
    pytest.fail(f"at most {MOST}: {added}")


def best(rounds: list[dict[str, dict[str, float]]], variant: str, name: str) -> float:
    """The least that was found."""
    return min(found[variant][name] for found in rounds)


def measured(backend: Sink, framework: str) -> dict[str, dict[str, float]]:
    """The app without us and with us, every request reported: side by side, each on a core, and idle together."""
    backend.reset()

    def process(variant: str) -> dict[str, float]:
        return work(backend, "process", variant, framework, "--idle", IDLE, python=sys.executable)

    with ThreadPoolExecutor() as pool:
        found = dict(zip((BARE, OURS), pool.map(process, (BARE, OURS)), strict=True))
    assert found[OURS]["reported"] == 1
    return found
