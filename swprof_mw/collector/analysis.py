"""From snapshots to trees: how long each frame was on the stack, worked out the way SkyWalking's OAP does.

Pure functions over ``Snapshot``; all times are ms.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from swprof_mw.collector.forest import Forest
from swprof_mw.collector.records import INT_RANGE, Snapshot, within_int

MAX_SNAPSHOTS = 12_000
"""Snapshots of one segment that an analysis looks at; the rest is left out, and the tip says so."""


@dataclass(frozen=True)
class Stretch:
    """A part of one segment to analyse: its snapshots, and from when to when (ms since the epoch, both included)."""

    snapshots: Sequence[Snapshot]
    start: int
    end: int

    def numbers(self) -> range:
        """The lowest to the highest number inside the time; what lies between counts, whenever it was taken.

        Without any it is number 0 alone: OAP answers so.
        """
        inside = [one.sequence for one in self.snapshots if self.start <= one.time <= self.end]
        return range(min(inside), max(inside) + 1) if inside else range(1)

    def chosen(self) -> list[Snapshot]:
        """What is looked at, in order of the numbers."""
        numbers = self.numbers()[:MAX_SNAPSHOTS]
        return sorted((one for one in self.snapshots if one.sequence in numbers), key=_sequence)


@dataclass(frozen=True)
class Tree:
    """The elements under one first code signature, parents before their children, as columns.

    There may be tens of thousands of elements, and as many objects would keep the garbage collector busy.

    Attributes:
        parent_ids: the parent's number, 0 for the root; elements are numbered from 1, level by level.
        code_signatures: the frames' texts.
        durations: ms between snapshots with neighbouring numbers that both hold the element.
        durations_child_excluded: the part of that which no child accounts for, ms.
        counts: how many snapshots hold the element.
    """

    parent_ids: Sequence[int]
    code_signatures: Sequence[str]
    durations: Sequence[int]
    durations_child_excluded: Sequence[int]
    counts: Sequence[int]

    @property
    def ids(self) -> range:
        """From 1 on."""
        return range(1, len(self.parent_ids) + 1)


@dataclass(frozen=True)
class Analysis:
    """The trees, in the order in which they begin, and a tip if not all snapshots were looked at."""

    tip: str | None
    trees: list[Tree]


@dataclass(slots=True)
class _Run:
    """Snapshots of one stack with numbers that follow each other, from the first to the last."""

    first: Snapshot
    last: Snapshot
    count: int = 1

    def goes_on(self, snapshot: Snapshot) -> bool:
        """Whether the snapshot belongs to it."""
        return snapshot.sequence == self.last.sequence + 1 and snapshot.stack == self.first.stack


def analyze(stretches: Iterable[Stretch]) -> Analysis:
    """One analysis of several stretches together.

    OAP knows a snapshot by its number alone here: where two segments have the same number, the first one counts,
    and numbers that follow each other across segments are neighbours. Meant for the stretches of one segment.
    """
    stretches = list(stretches)
    chosen: dict[int, Snapshot] = {}
    for stretch in stretches:
        for snapshot in stretch.chosen():
            chosen.setdefault(snapshot.sequence, snapshot)
    return Analysis(_tip(stretches), _trees(_forest(chosen.values())))


def _tip(stretches: Iterable[Stretch]) -> str | None:
    found = sum(len(stretch.numbers()) for stretch in stretches)
    if found <= MAX_SNAPSHOTS:
        return None
    return f"Out of snapshot analyze limit, {found} snapshots found, but analysis first {MAX_SNAPSHOTS} snapshots only."


def _forest(snapshots: Collection[Snapshot]) -> Forest:
    forest = Forest()
    # The order of the trees is that in which they come in; the times are those between neighbouring numbers.
    paths = {stack: forest.path(stack) for stack in dict.fromkeys(snapshot.stack for snapshot in snapshots)}
    before: _Run | None = None
    for run in _runs(sorted(snapshots, key=_sequence)):
        path = paths[run.first.stack]
        forest.own[path[-1]] += run.last.time - run.first.time
        forest.counts[path[-1]] += run.count
        if before is not None and before.last.sequence == run.first.sequence - 1:
            forest.own[_shared(paths[before.first.stack], path)] += run.first.time - before.last.time
        before = run
    return forest


def _shared(one: list[int], other: list[int]) -> int:
    """The innermost node of two paths that both hold."""
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared = left
    return shared


def _runs(ordered: Iterable[Snapshot]) -> Iterator[_Run]:
    run: _Run | None = None
    for snapshot in ordered:
        if run is not None and run.goes_on(snapshot):
            run.last = snapshot
            run.count += 1
        else:
            if run is not None:
                yield run
            run = _Run(snapshot, snapshot)
    if run is not None:
        yield run


def _trees(forest: Forest) -> list[Tree]:
    times = _within_int(forest.totals(forest.own)), _within_int(forest.own)
    counts = forest.totals(forest.counts)
    return [_tree(forest, root, *times, counts) for root in forest.children[0].values()]


def _within_int(numbers: list[int]) -> list[int]:
    """A clock that was far off makes one number wrong, not all of the answer."""
    if min(numbers) >= -INT_RANGE and max(numbers) <= INT_RANGE:
        return numbers
    return [within_int(number) for number in numbers]


def _tree(forest: Forest, root: int, durations: list[int], own: list[int], counts: list[int]) -> Tree:
    nodes = forest.below(root)
    ids = {0: 0, **{node: number for number, node in enumerate(nodes, start=1)}}
    return Tree(
        parent_ids=[ids[forest.parents[node]] for node in nodes],
        code_signatures=[forest.texts[node] for node in nodes],
        durations=[durations[node] for node in nodes],
        durations_child_excluded=[own[node] for node in nodes],
        counts=[counts[node] for node in nodes],
    )


def _sequence(snapshot: Snapshot) -> int:
    return snapshot.sequence
