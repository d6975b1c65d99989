"""Does a profile show the request and only the request, and are its milliseconds true? ``make accuracy``

Starts each server with each app, profiles requests of known work with four others beside them, and prints a row a
case. Exit status 1 if a row misses what is promised.
"""

from __future__ import annotations

import argparse
import sys
import time

from bench.cases import CASES, SHORT, Case
from bench.environments import available, environment
from bench.measure import Measured, measure, serving
from swprof_mw.collector.server import Collector

BURSTS = (0.3, 1.0, 3.0, 10.0, 30.0)
#: What a row has to reach: of the expected ticks, so many taken, and of those so many with the request's own code.
LEAST_TAKEN = 0.97
LEAST_OWN = 0.97
#: A short run is judged by the best of so many, where something is missing: its machine is often busy with others. What
#: is wrong is never forgiven.
ROUNDS = 5

HEADER = (
    f"{'python':7}{'case':34}{'burst':>6}{'ticks':>7}{'taken':>8}{'own':>8}{'foreign':>8}{'outside':>8}{'trees':>6}"
    f"{'computing (true)':>20}{'waiting (true)':>20}"
)


def row(version: str, case: Case, burst: float, one: Measured) -> str:
    """One line of the table."""
    return (
        f"{version:7}{case!s:34}{burst:6g}{one.expected:7d}{_share(one.taken, one.expected):>8}"
        f"{_share(one.own, one.taken):>8}{one.foreign:8d}{one.outside:8d}{one.trees:6d}"
        f"{_beside(one, one.compute, one.true_compute):>20}{_beside(one, one.wait, one.true_wait):>20}"
    )


def _beside(one: Measured, shown: float, true: float) -> str:
    return f"{shown / one.duration:.1%} ({true / one.duration:.1%})" if one.duration else "-"


def lies(one: Measured) -> list[str]:
    """What is shown that was not so."""
    found = [f"{one.foreign} foreign, {one.outside} outside"] if one.foreign or one.outside else []
    return found + ([f"{one.trees} trees"] if one.trees != 1 else [])


def gaps(one: Measured) -> list[str]:
    """What is not shown, more than promised. A machine that stands still, or is busy with others, adds to it."""
    found = []
    if one.taken < LEAST_TAKEN * one.expected:
        found.append(f"taken {_share(one.taken, one.expected)}")
    if one.own < LEAST_OWN * one.taken:
        found.append(f"own {_share(one.own, one.taken)}")
    return found


def run(
    version: str, case: Case, bursts: tuple[float, ...] = (3.0,), total: float = 1000.0, repeat: int = 3
) -> list[Measured]:
    """Measure one case on one version of Python, on a server and a collector of its own.

    Args:
        bursts: of computing, ms.
        total: length of a request, ms.
        repeat: requests of each burst; all together at most 9.

    Returns:
        One for each burst: all of its requests.
    """
    with (
        Collector(grpc_port=0, http_port=0) as collector,
        serving(case, collector.backend, environment(version)) as server,
    ):
        found = measure(case, collector, server, [burst for burst in bursts for _ in range(repeat)], total)
    return [sum(found[at : at + repeat], Measured()) for at in range(0, len(found), repeat)]


def main(arguments: list[str] | None = None) -> int:
    """0 if every row keeps what is promised, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", nargs="*", default=available(), help="versions (all that are here)")
    parser.add_argument("--short", action="store_true", help="one case of each kind, oldest and newest Python")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--total", type=float, default=1000.0, help="length of a request, ms (%(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="requests of each burst (%(default)s)")
    parser.add_argument("--bursts", type=float, nargs="*", default=BURSTS, help="of computing, ms (%(default)s)")
    chosen = parser.parse_args(arguments)
    rounds = ROUNDS if chosen.short else 1
    versions = [chosen.python[0], chosen.python[-1]] if chosen.short else chosen.python
    cases = [case for case in CASES if chosen.only in str(case) and (str(case) in SHORT or not chosen.short)]
    print(HEADER)
    missed = sum(
        report(version, case, tuple(chosen.bursts), chosen.total, chosen.repeat, rounds)
        for version in versions
        for case in cases
    )
    print(f"\n{missed} rows miss what is promised")
    return 1 if missed else 0


def report(version: str, case: Case, bursts: tuple[float, ...], total: float, repeat: int, rounds: int) -> int:
    """Print a case's rows; how many miss what is promised. With gaps it is measured again, ``rounds`` times in all."""
    missed = 0
    for left in reversed(range(rounds)):
        rows = run(version, case, bursts, total, repeat)
        for burst, one in zip(bursts, rows, strict=True):
            wrong = [*lies(one), *gaps(one)]
            print(row(version, case, burst, one), "  !! " + "; ".join(wrong) if wrong else "", flush=True)
        lied = sum(bool(lies(one)) for one in rows)
        missed = sum(bool(lies(one) or gaps(one)) for one in rows)
        if lied or not missed:
            break
        if left:
            print("again:")
    return missed


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


if __name__ == "__main__":
    began = time.monotonic()
    status = main()
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(status)
