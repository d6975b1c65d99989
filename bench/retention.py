"""Does anything stay behind? ``make retention``

The sampler is driven at 1 ms on each kind of server, while clients ask for the profiled endpoint and others: some
fail, some find nothing, some hang up. When all is quiet again, what the process holds is compared with a control run:
the same requests without us. Prints a row a kind. Exit status 1 if more is retained, if threads, open files or slots
differ, or if anything was raised that should not.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from dataclasses import replace

from bench.census import State
from bench.driving import KINDS, MARK, SPAN, Kind, Outcome, Plan, run
from bench.environments import environment

#: Of one type, more objects than in the control run are too many: so many, or such a share of the requests.
MOST_OBJECTS = 200
MOST_SHARE = 0.02
#: Of blocks, of which an object may have several, so many times that.
MOST_BLOCKS = 10
#: Threads of a server's pool, or of grpc's, come and go.
MOST_THREADS = 4
MOST_DESCRIPTORS = 2
#: Types in the table of each kind.
SHOWN = 5

_PACKAGE = "swprof_mw."

#: One of each kind of server, and each framework.
USUAL = (
    "waitress-flask",
    "gunicorn-sync-django",
    "gunicorn-gthread-flask",
    "gunicorn-gevent-django",
    "uvicorn-fastapi",
    "uvicorn-uvloop-starlette",
    "hypercorn-django",
)
HEADER = f"{'python':7}{'kind':26}{'requests':>9}{'snapshots':>10}{'lost':>6}{'errors':>7}{'peak MB (control)':>18}"


def most(requests: int) -> float:
    """Of a type, so many objects more than in the control run may be retained."""
    return max(MOST_OBJECTS, MOST_SHARE * requests)


def grown(one: Outcome) -> dict[str, int]:
    """By type, how many more objects there were after the load than before."""
    before, after = one.before.types, one.after.types
    return {name: after.get(name, 0) - before.get(name, 0) for name in {*before, *after}}


def more(with_us: Outcome, control: Outcome) -> dict[str, int]:
    """By type, how many objects more the load left behind than in the control run, most first."""
    ours, theirs = grown(with_us), grown(control)
    found = {name: count - theirs.get(name, 0) for name, count in ours.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def faults(with_us: Outcome, control: Outcome) -> list[str]:
    """What was left behind that should not, and what went wrong."""
    limit = most(sum(with_us.requests))
    found = [f"{count} more of {name}" for name, count in more(with_us, control).items() if count > limit]
    blocks = _difference(with_us, control, lambda state: state.blocks)
    if blocks > MOST_BLOCKS * limit:
        found.append(f"{blocks} more blocks of memory")
    found += _alive(with_us, control)
    descriptors = _difference(with_us, control, lambda state: state.descriptors)
    if abs(descriptors) > MOST_DESCRIPTORS:
        found.append(f"{descriptors} more open files")
    found += _threads(with_us, control)
    if not with_us.after.state.idle:
        found.append(f"not idle: {with_us.after.state}")
    return [*found, *(f"{count} times {text}" for text, count in with_us.errors.items() if text not in control.errors)]


def _alive(with_us: Outcome, control: Outcome) -> list[str]:
    """Requests that are not gone, at either rest: a server may hold on to some by itself, but to no more than there."""
    found = []
    for ours, theirs in ((with_us.before, control.before), (with_us.after, control.after)):
        held = theirs.types.get(MARK, 0)
        counts = {name: ours.types.get(name, 0) - held for name in (MARK, SPAN)}
        found += [f"{count} requests are alive: {name}" for name, count in counts.items() if count > 0]
    return found


def _difference(with_us: Outcome, control: Outcome, of: Callable[[State], int]) -> int:
    ours, theirs = (of(one.after.state) - of(one.before.state) for one in (with_us, control))
    return int(ours - theirs)


def _threads(with_us: Outcome, control: Outcome) -> list[str]:
    """Ours are as many as before; the others' may differ a little."""
    found = []
    for name in with_us.after.threads:
        ours, theirs = (one.after.threads.get(name, 0) - one.before.threads.get(name, 0) for one in (with_us, control))
        if ours > (0 if name.startswith(_PACKAGE) else max(theirs, 0) + MOST_THREADS):
            found.append(f"{ours} more threads of {name}")
    return found


def report(version: str, kind: Kind, with_us: Outcome, control: Outcome) -> bool:
    """Print a row, and what is behind it; whether anything is wrong."""
    wrong, ours, theirs = faults(with_us, control), with_us.after.state, control.after.state
    print(
        f"{version:7}{kind!s:26}{sum(with_us.requests):9d}{with_us.snapshots:10d}{ours.lost:6d}"
        f"{sum(with_us.errors.values()):7d}{f'{ours.peak:.0f} ({theirs.peak:.0f})':>18}",
        "  !! " + "; ".join(wrong) if wrong else "",
    )
    for name, count in list(more(with_us, control).items())[:SHOWN]:
        if count > 0:
            print(f"{'':7}{count:+6d} {name}")
    sys.stdout.flush()
    return bool(wrong)


def measure(version: str, python: str, kind: Kind, plan: Plan) -> bool:
    """Load a kind with us and without; whether anything is wrong."""
    with_us = run(kind, True, plan, python)
    control = run(kind, False, replace(plan, counts=with_us.requests), python)
    return report(version, kind, with_us, control)


def main(arguments: list[str] | None = None) -> int:
    """0 if nothing is left behind anywhere, else 1."""
    usual = Plan()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", nargs="*", default=[], help="versions, for example 3.10 (the one that runs this)")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="of load for each kind (%(default)g)")
    parser.add_argument("--clients", type=int, default=usual.clients, help="at once (%(default)s)")
    parser.add_argument("--pause", type=float, default=usual.pause, help="of each client, seconds (%(default)s)")
    parser.add_argument("--only", default="", help="kinds whose name holds this, not only the usual ones")
    parser.add_argument("--all", action="store_true", help="every app on every kind of server")
    chosen = parser.parse_args(arguments)
    plan = replace(usual, seconds=chosen.seconds, clients=chosen.clients, pause=chosen.pause)
    pythons = {version: environment(version) for version in chosen.python}
    kinds = [kind for kind in KINDS if chosen.only in str(kind) and (chosen.only or chosen.all or str(kind) in USUAL)]
    print(HEADER)
    wrong = 0
    for version, python in (pythons or {platform.python_version(): sys.executable}).items():
        wrong += sum(measure(version, python, kind, plan) for kind in kinds)
    print(f"\n{wrong} kinds keep what they should not")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
