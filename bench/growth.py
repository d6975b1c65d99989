"""How a request's cost grows with routes, with chunks of its body, with requests at once. ``python -m bench.growth``

Ours less the bare app's processor time, in µs a request, in processes by turns.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence

from bench.peers import apps
from bench.peers.running import added, sink, spread, work
from bench.peers.variants import BARE, OURS

#: The option of the worker, and its values.
SIZES = {"routes": (10, 1_000, 5_000), "chunks": (1, 10, 100), "at-once": (1, 8, 64)}
#: Fewer requests where each takes longer.
REQUESTS = 3_000
_SLOW = 1_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frameworks", nargs="*", default=list(apps.ENDPOINTS))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    with sink() as backend:
        for framework in options.frameworks:
            for name, sizes in SIZES.items():
                for task in (False, True) if name == "routes" else (False,):
                    print(f"\n{framework}, {name}{', a task running' if task else ''}: added, and bare, µs a request")
                    for size in sizes:
                        rounds = []
                        for _ in range(options.rounds):
                            found = {}
                            for variant in (BARE, OURS):
                                backend.reset(apps.ENDPOINTS[framework] if task and variant == OURS else "")
                                count = REQUESTS if size < _SLOW else _SLOW
                                more = (f"--{name}", size, "--requests", count, *(("--task",) if task else ()))
                                more = more if variant == OURS else more[:4]
                                found[variant] = work(backend, "requests", variant, framework, *more)
                            rounds.append(found)
                        bare = statistics.median(found[BARE]["cpu"] for found in rounds)
                        print(f"{size:8d}{spread(added(rounds)[OURS]['cpu']):>28}{bare:>12.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
