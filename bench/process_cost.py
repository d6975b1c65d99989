"""What a process costs, beside the peers: memory, importing, threads, the first request, being idle.

``python -m bench.process_cost``. Each in a process of its own, several times by turns. Exit status 1 if a promise is
not kept.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

from bench.environments import interpreter
from bench.partner import ROOT
from bench.peers import apps
from bench.peers.running import PYTHON, Figures, Sink, added, ratio, sink, spread, work
from bench.peers.variants import BARE, OFFICIAL, OPENTELEMETRY, OURS, SENTRY

VARIANTS = (OURS, OFFICIAL, OPENTELEMETRY, SENTRY)
MOST_MEMORY = 0.6
#: ms, ms, and a share of a core.
MOST_IMPORT = 30.0
MOST_FIRST = 5.0
MOST_IDLE = 0.001

_COLUMNS = {"memory": "memory, MB", "import": "import, ms", "first": "first request, ms", "threads": "threads"}


def table(framework: str, figures: Figures) -> Iterator[str]:
    """Lines for people."""
    yield f"\n{framework}: added to the bare app"
    yield f"{'':16}" + "".join(f"{title:>26}" for title in _COLUMNS.values()) + f"{'idle, % of a core':>26}"
    for variant in VARIANTS:
        row = figures[variant]
        idle = [value * 100 for value in row["idle"]]
        yield f"{variant:16}" + "".join(f"{spread(row[name]):>26}" for name in _COLUMNS) + f"{spread(idle, 3):>26}"


def faults(framework: str, figures: Figures) -> Iterator[str]:
    """What of the promises is not kept."""
    ours = figures[OURS]
    memory = ratio(ours["memory"], figures[OFFICIAL]["memory"])
    if memory > MOST_MEMORY:
        yield f"{framework}: {memory:.0%} of the official agent's memory"
    if any(ours["grpc"]):
        yield f"{framework}: importing the adapter imports grpc"
    for name, most in (("import", MOST_IMPORT), ("first", MOST_FIRST), ("idle", MOST_IDLE)):
        found = statistics.median(ours[name])
        if found > most:
            yield f"{framework}: {name} {found:.4g}, more than {most:g}"


def unreported(framework: str, found: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Which peers did not report each request: their figures are not those of the same work."""
    for variant in VARIANTS:
        share = found[variant]["reported"]
        if share != 1:
            yield f"{framework}: {variant} reported {share:.1%} of the requests"


def compiled() -> None:
    """Compile our modules, as an installer does; the peers' are compiled.

    Raises:
        subprocess.CalledProcessError: that failed.
    """
    subprocess.run([interpreter(PYTHON), "-m", "compileall", "-q", "swprof_mw", "bench"], cwd=ROOT, check=True)


def measured(backend: Sink, framework: str) -> dict[str, dict[str, float]]:
    """One round: what the worker of each variant found."""
    compiled()
    found = {}
    for variant in (BARE, *VARIANTS):
        backend.reset()
        found[variant] = work(backend, "process", variant, framework)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if all promises are kept, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frameworks", nargs="*", default=list(apps.ENDPOINTS))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    broken: list[str] = []
    with sink() as backend:
        for framework in options.frameworks:
            rounds = [measured(backend, framework) for _ in range(options.rounds)]
            for found in rounds:
                broken += unreported(framework, found)
            figures = added(rounds)
            print(*table(framework, figures), sep="\n", flush=True)
            broken += faults(framework, figures)
    print(*broken, sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
