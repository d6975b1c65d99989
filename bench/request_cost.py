"""What a request costs, beside the peers: ``python -m bench.request_cost``

Each variant answers the same requests in a process of its own, many times by turns. What it adds is its processor
time (of all threads, sending included) less that of the bare app in the same round; likewise for the time that a
request takes. Exit status 1 if a promise is not kept.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence

from bench.peers import apps
from bench.peers.running import Figures, Sink, added, by_turns, middle, ratio, sinks
from bench.peers.variants import BARE, FLOOR, OFFICIAL, OPENTELEMETRY, OURS, PROFILED_ONLY, SENTRY

#: Ours in the official agent's added processor time; Starlette by the plugin for FastAPI.
MOST_OF_OFFICIAL = {"flask": 1 / 8, "django": 1 / 6, "fastapi": 1 / 6}
#: µs of processor time beyond the floor's, with profiled requests alone, and of latency.
BEYOND_FLOOR = 12.0
MOST_PROFILED_ONLY = 5.0
MOST_LATENCY = 15.0

#: Which requests a running task is for, and who takes part: the others have no profile tasks.
TASKS = {
    "no task": (OURS, PROFILED_ONLY, FLOOR, OFFICIAL, OPENTELEMETRY, SENTRY),
    "a task for another endpoint": (OURS, OFFICIAL),
    "a task for this endpoint": (OURS, OFFICIAL),
}
_ELSEWHERE = "/elsewhere"


def endpoint(task: str, variant: str, framework: str) -> str:
    """The endpoint that the task is for, by the name that the variant gives it; empty: there is no task."""
    this = apps.PATH if variant == OFFICIAL else apps.ENDPOINTS[framework]
    return {"no task": "", "a task for another endpoint": _ELSEWHERE, "a task for this endpoint": this}[task]


def compare(sinks: Mapping[str, Sink], framework: str, task: str, rounds: int, requests: int) -> Figures:
    """What each of a task's variants adds, in each round."""
    options: dict[str, Sequence[object]] = {}
    for variant in (BARE, *TASKS[task]):
        wanted = "" if variant == BARE else endpoint(task, variant, framework)
        sinks[variant].reset(wanted)
        options[variant] = ("--task",) if wanted else ()
    return added(by_turns(sinks, framework, rounds, requests, options))


def table(framework: str, task: str, figures: Figures) -> Iterator[str]:
    """Lines for people."""
    yield f"\n{framework}, {task}: added to the bare app, µs a request"
    yield f"{'':20}{'processor time':>26}{'of official':>12}{'median':>24}{'99th percentile':>28}{'reported':>10}"
    for variant in TASKS[task]:
        row = figures[variant]
        part = 1 / max(ratio(row["cpu"], figures[OFFICIAL]["cpu"]), 1e-3)
        yield (
            f"{variant:20}{middle(row['cpu']):>26}{f'1/{part:.1f}':>12}{middle(row['median']):>24}"
            f"{middle(row['p99']):>28}{statistics.median(row['reported']):>10.1%}"
        )


def faults(framework: str, figures: Figures) -> Iterator[str]:
    """What is not kept of the promises for requests while no task runs."""
    cpu = {variant: statistics.median(row["cpu"]) for variant, row in figures.items()}
    part, most = ratio(figures[OURS]["cpu"], figures[OFFICIAL]["cpu"]), MOST_OF_OFFICIAL.get(framework)
    if most is not None and part > most:
        floor = ratio(figures[FLOOR]["cpu"], figures[OFFICIAL]["cpu"])
        yield f"{framework}: 1/{1 / part:.1f} of official, not 1/{1 / most:.0f} (the floor: 1/{1 / floor:.1f})"
    if cpu[OURS] > cpu[FLOOR] + BEYOND_FLOOR:
        yield f"{framework}: {cpu[OURS]:.1f} µs, and the floor {cpu[FLOOR]:.1f}"
    if cpu[PROFILED_ONLY] > MOST_PROFILED_ONLY:
        yield f"{framework}: {cpu[PROFILED_ONLY]:.1f} µs where only profiled requests are reported"
    latency = statistics.median(figures[OURS]["median"])
    if latency > MOST_LATENCY:
        yield f"{framework}: {latency:.1f} µs of latency"
    if min(figures[OURS]["reported"]) < 1:
        yield f"{framework}: only {min(figures[OURS]['reported']):.1%} reported"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if all promises are kept, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frameworks", nargs="*", default=list(apps.ENDPOINTS))
    parser.add_argument("--task", action="append", choices=list(TASKS), help="by default all")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--requests", type=int, default=1_000, help="in a round")
    options = parser.parse_args(arguments)
    broken: list[str] = []
    with sinks((BARE, *TASKS["no task"])) as backends:
        for framework in options.frameworks:
            for task in options.task or TASKS:
                figures = compare(backends, framework, task, options.rounds, options.requests)
                print(*table(framework, task, figures), sep="\n", flush=True)
                broken += faults(framework, figures) if task == "no task" else ()
    print(*broken, sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
