"""What one sample costs the sampler's thread, the system call for the clock apart. The bounds are promises to users."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.alone, pytest.mark.costs]

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 4
DEPTH = 60
#: Of a request's first sample, µs.
FIRST = 1_000


@pytest.mark.parametrize(
    ("kind", "count", "most"), [("thread", 20, 50), ("task", 20, 80), ("task", 10_000, 250)], ids=str
)
def test_a_sample_costs_no_more_than_promised(kind: str, count: int, most: float) -> None:
    """Processor time, µs; what other processes do to the caches only ever adds to it, so the best of some rounds."""
    found = []
    for _ in range(ROUNDS):
        found.append(cost(kind, count))
        if found[-1]["median"] - found[-1]["clocks"] <= most and found[-1]["first"] <= FIRST:
            return
    pytest.fail(f"at most {most} and at first {FIRST} µs: {found}")


def test_a_sample_costs_a_part_of_a_walk_over_the_whole_stack() -> None:
    """As SkyWalking's agent walks; in one run. The benchmark has the exact figures."""
    found = []
    for _ in range(ROUNDS):
        measured = cost("thread", 20)
        found.append(measured["median"] / measured["walk"])
    assert min(found) <= 1 / 8, found


def cost(kind: str, count: int) -> dict[str, float]:
    """As the benchmark says, in a process of its own."""
    command = [sys.executable, "-m", "bench.sample_cost", kind, str(count), str(DEPTH)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer
