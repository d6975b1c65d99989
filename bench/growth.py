"""How a request's cost grows with routes, with chunks of its body, with requests at once. ``python -m bench.growth``

Ours less the bare app's processor time, in µs a request, in processes by turns; beside it the floor, the least that
reporting a request can cost. That grows too where a framework goes through thousands of routes, a few MB, for each
request: whatever comes after it finds nothing in the processor's caches. Exit status 1 if a promise is not kept.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence

from bench.peers import apps
from bench.peers.running import Sink, added, by_turns, middle, sinks
from bench.peers.variants import BARE, FLOOR, OURS

#: The option of the worker, and its values.
SIZES = {"routes": (10, 1_000, 5_000), "chunks": (1, 10, 100), "at-once": (1, 8, 64)}
#: In a round; fewer where each takes longer.
REQUESTS, _FEWER = 1_000, 300
_SLOW = 1_000
#: Processes of each, one after the other.
STARTS = 3
#: By so much may a cost differ from another one that is the same, µs; and as a share of what the bare app takes more.
NOISE = 10.0
UNSTEADY = 0.03

Round = dict[str, dict[str, float]]


def grown(rounds: list[Round]) -> tuple[float, float]:
    """The medians of what we add beyond the floor, and of the bare app's, µs a request."""
    beyond = statistics.median(found[OURS]["cpu"] - found[FLOOR]["cpu"] for found in rounds)
    return beyond, statistics.median(found[BARE]["cpu"] for found in rounds)


def faults(framework: str, task: bool, found: dict[int, tuple[float, float]]) -> Iterator[str]:
    """What is not kept of the promises about routes: no task, no growth; a task, at most what matching takes once."""
    (first, (least, bare)), *more = found.items()
    for size, (cost, bare_then) in more:
        matching = max(bare_then - bare, 0)
        # The bare app's own time varies, too, and by more the longer it takes.
        most = least + NOISE + matching * (1 if task else UNSTEADY)
        if cost > most:
            with_task = " with a task" if task else ""
            yield f"{framework}{with_task}: {cost:.1f} µs with {size} routes, {least:.1f} with {first}: over {most:.1f}"


def measure(backends: Mapping[str, Sink], framework: str, name: str, size: int, task: bool, rounds: int) -> list[Round]:
    """So many rounds with each start, the bare app and ours by turns.

    Where thousands of routes lie in memory, and so how long the way through them is, differs from process to process.
    """
    options: dict[str, Sequence[object]] = {}
    for variant in (BARE, FLOOR, OURS):
        with_task = task and variant == OURS
        backends[variant].reset(apps.ENDPOINTS[framework] if with_task else "")
        options[variant] = (f"--{name}", size, *(("--task",) if with_task else ()))
    requests = REQUESTS if size < _SLOW else _FEWER
    return [found for _ in range(STARTS) for found in by_turns(backends, framework, rounds, requests, options)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables. 0 if the promises are kept, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frameworks", nargs="*", default=list(apps.ENDPOINTS))
    parser.add_argument("--rounds", type=int, default=4, help="for each start of the processes")
    options = parser.parse_args(arguments)
    broken: list[str] = []
    with sinks((BARE, FLOOR, OURS)) as backends:
        for framework in options.frameworks:
            for name, task in (("routes", False), ("routes", True), ("chunks", False), ("at-once", False)):
                running = ", a task running" if task else ""
                print(f"\n{framework}, {name}{running}: added, the floor, and bare, µs a request")
                found: dict[int, tuple[float, float]] = {}
                for size in SIZES[name]:
                    rounds = measure(backends, framework, name, size, task, options.rounds)
                    found[size] = grown(rounds)
                    ours, floor = (middle(added(rounds)[variant]["cpu"]) for variant in (OURS, FLOOR))
                    print(f"{size:8d}{ours:>28}{floor:>28}{found[size][1]:>12.1f}", flush=True)
                broken += faults(framework, task, found) if name == "routes" else ()
    print(*broken, sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
