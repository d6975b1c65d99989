"""Run the suites of the frameworks without us, under a wrapper that does nothing, and with us; and compare.

``python -m tests.suites 3.11 3.12 3.13`` does so on each of these Pythons. Exits with 1 if a test fails with us that
passes under the other wrapper, or if too few requests were sampled.
"""

from __future__ import annotations

import argparse
import sys
from typing import NamedTuple

from swprof_mw.collector.records import Snapshot
from swprof_mw.collector.server import Collector
from swprof_mw.collector.store import Store
from tests.suites.suite import Run, Suite

SUITES = (("flask==3.1.3", "flask"), ("starlette==1.10.0", "starlette"), ("starlette==1.10.0", "starlette-inside"))
HEAD = ("suite", "tests", "passed bare", "under the empty wrapper", "with us", "newly failed", "long requests sampled")


class Arrivals(Store):
    """A store that remembers of which tasks snapshots have arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks_seen: set[str] = set()

    def add_snapshot(self, snapshot: Snapshot) -> None:
        """Keep it, as any store does."""
        self.tasks_seen.add(snapshot.task_id)
        super().add_snapshot(snapshot)


class Comparison(NamedTuple):
    """A suite's three runs, and the ids of the tasks whose snapshots arrived at the backend."""

    suite: Suite
    bare: Run
    empty: Run
    ours: Run
    arrived: set[str]

    @property
    def newly_failed(self) -> list[str]:
        """The tests that pass under the wrapper that does nothing, but not with us."""
        return sorted(self.empty.passed - self.ours.passed)

    @property
    def problems(self) -> list[str]:
        """All that is wrong, a line each."""
        found = [f"newly failed: {name}" for name in self.newly_failed]
        if not self.ours.well:
            found.append("too few of the long requests were sampled")
        lost = self.ours.kept - self.arrived
        if lost:
            found.append(f"snapshots of {len(lost)} of {len(self.ours.kept)} requests did not arrive at the backend")
        place = " ".join(filter(None, (self.suite.place, self.suite.version)))
        return [f"{place}: {problem}" for problem in found]

    @property
    def row(self) -> tuple[str, ...]:
        """A line of the table."""
        ours = self.ours
        share = f"{ours.sampled} of {ours.long}, {ours.requests} in all"
        counts = (len(self.bare.outcomes), len(self.bare.passed), len(self.empty.passed), len(ours.passed))
        where = [self.suite.source, self.suite.place, *([f"Python {self.suite.version}"] if self.suite.version else [])]
        return (", ".join(where), *map(str, counts), str(len(self.newly_failed)), share)


def compare(suite: Suite) -> Comparison:
    """Run the suite three times, with a backend of its own.

    Raises:
        RuntimeError: a run did not come to its end.
    """
    store = Arrivals()
    with Collector(0, 0, store=store) as collector:
        bare, empty, ours = (suite.run(wrap, collector.backend) for wrap in ("none", "empty", "swprof"))
    return Comparison(suite, bare, empty, ours, store.tasks_seen)


def table(rows: list[tuple[str, ...]]) -> str:
    """The rows under their heads, in columns."""
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    lines = [HEAD, tuple("-" * width for width in widths), *rows]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table, what went wrong, and how the tests failed; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", default=[""], help="of Python; by default the one that runs this")
    versions = parser.parse_args(arguments).versions
    found = [compare(Suite(source, place, version)) for version in versions for source, place in SUITES]
    problems = [problem for comparison in found for problem in comparison.problems]
    for comparison in found:
        if comparison.problems:
            print(comparison.ours.output)
    print(table([comparison.row for comparison in found]))
    print("\n".join(problems) or "no test newly failed")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
