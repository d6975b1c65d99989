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


def faults(one: Measured) -> list[str]:
    """What of the promise a measured request does not keep."""
    found = []
    if one.taken < LEAST_TAKEN * one.expected:
        found.append(f"taken {_share(one.taken, one.expected)}")
    if one.own < LEAST_OWN * one.taken:
        found.append(f"own {_share(one.own, one.taken)}")
    if one.foreign or one.outside:
        found.append(f"{one.foreign} foreign, {one.outside} outside")
    if one.trees != 1:
        found.append(f"{one.trees} trees")
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
    with Collector(grpc_port=0, http_port=0) as collector, serving(case, collector, environment(version)) as server:
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
    versions = [chosen.python[0], chosen.python[-1]] if chosen.short else chosen.python
    cases = [case for case in CASES if chosen.only in str(case) and (str(case) in SHORT or not chosen.short)]
    print(HEADER)
    missed = 0
    for version in versions:
        for case in cases:
            rows = run(version, case, tuple(chosen.bursts), chosen.total, chosen.repeat)
            missed += sum(report(version, case, burst, one) for burst, one in zip(chosen.bursts, rows, strict=True))
    print(f"\n{missed} rows miss what is promised")
    return 1 if missed else 0


def report(version: str, case: Case, burst: float, one: Measured) -> bool:
    """Print a row; whether it misses what is promised."""
    wrong = faults(one)
    print(row(version, case, burst, one), "  !! " + "; ".join(wrong) if wrong else "", flush=True)
    return bool(wrong)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


if __name__ == "__main__":
    began = time.monotonic()
    status = main()
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(status)
