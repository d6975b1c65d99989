"""From snapshots to trees: how long each frame was on the stack, worked out the way SkyWalking's OAP does.

Pure functions over ``Snapshot``; all times are ms.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from swprof_mw.collector.records import Snapshot, Stack, within_int

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
class Element:
    """One node of a tree.

    Attributes:
        id: from 1, level by level; unique within its tree.
        parent_id: the parent's ``id``, 0 for the root.
        code_signature: the frame's text.
        duration: ms between snapshots with neighbouring numbers that both hold this node.
        duration_child_excluded: the part of ``duration`` that no child accounts for, ms.
        count: how many snapshots hold this node.
    """

    id: int
    parent_id: int
    code_signature: str
    duration: int
    duration_child_excluded: int
    count: int


@dataclass(frozen=True)
class Tree:
    """The elements under one first code signature, parents before their children."""

    elements: list[Element]


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


@dataclass(slots=True)
class _Node:
    code_signature: str
    children: dict[str, _Node] = field(default_factory=dict)
    duration: int = 0
    count: int = 0
    last: Snapshot | None = None

    def child(self, code_signature: str) -> _Node:
        child = self.children.get(code_signature)
        if child is None:
            child = self.children[code_signature] = _Node(code_signature)
        return child

    def add(self, run: _Run) -> None:
        """A run that holds this node; runs come in order of their numbers."""
        if self.last is not None and self.last.sequence == run.first.sequence - 1:
            self.duration += run.last.time - self.last.time
        else:
            self.duration += run.last.time - run.first.time
        self.count += run.count
        self.last = run.last


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
    return Analysis(_tip(stretches), [Tree(_elements(root)) for root in _roots(chosen.values())])


def _tip(stretches: Iterable[Stretch]) -> str | None:
    found = sum(len(stretch.numbers()) for stretch in stretches)
    if found <= MAX_SNAPSHOTS:
        return None
    return f"Out of snapshot analyze limit, {found} snapshots found, but analysis first {MAX_SNAPSHOTS} snapshots only."


def _roots(snapshots: Collection[Snapshot]) -> list[_Node]:
    above = _Node("")
    # The order of the trees is that in which they come in; the times are those between neighbouring numbers.
    paths = {stack: _path(above, stack) for stack in dict.fromkeys(snapshot.stack for snapshot in snapshots)}
    for run in _runs(sorted(snapshots, key=_sequence)):
        for node in paths[run.first.stack]:
            node.add(run)
    return list(above.children.values())


def _path(above: _Node, stack: Stack) -> list[_Node]:
    path = []
    for code_signature in stack:
        above = above.child(code_signature)
        path.append(above)
    return path


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


def _elements(root: _Node) -> list[Element]:
    elements: list[Element] = []
    waiting = [(root, 0)]
    for number, (node, parent_id) in enumerate(waiting, start=1):  # grows while it is walked: level by level
        children = node.children.values()
        waiting.extend((child, number) for child in children)
        own = node.duration - sum(child.duration for child in children)
        # A clock that was far off makes one number wrong, not all of the answer.
        times = within_int(node.duration), within_int(own)
        elements.append(Element(number, parent_id, node.code_signature, *times, node.count))
    return elements


def _sequence(snapshot: Snapshot) -> int:
    return snapshot.sequence
