"""From snapshots to trees: how long each frame was on the stack, worked out the way SkyWalking's OAP does.

Pure functions over ``Snapshot``; all times are ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from swprof_mw.collector.records import Snapshot

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


@dataclass
class _Node:
    code_signature: str
    children: dict[str, _Node] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)

    def child(self, code_signature: str) -> _Node:
        return self.children.setdefault(code_signature, _Node(code_signature))

    @cached_property
    def duration(self) -> int:
        """Asked for once all snapshots are in: a segment's numbers may be spread over several stretches."""
        ordered = sorted(self.snapshots, key=_sequence)
        pairs = pairwise(ordered)
        return sum(after.time - before.time for before, after in pairs if after.sequence == before.sequence + 1)


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


def _roots(snapshots: Iterable[Snapshot]) -> list[_Node]:
    above = _Node("")
    for snapshot in snapshots:
        node = above
        for code_signature in snapshot.stack:
            node = node.child(code_signature)
            node.snapshots.append(snapshot)
    return list(above.children.values())


def _elements(root: _Node) -> list[Element]:
    elements: list[Element] = []
    waiting = [(root, 0)]
    for number, (node, parent_id) in enumerate(waiting, start=1):  # grows while it is walked: level by level
        children = node.children.values()
        waiting.extend((child, number) for child in children)
        own = node.duration - sum(child.duration for child in children)
        elements.append(Element(number, parent_id, node.code_signature, node.duration, own, len(node.snapshots)))
    return elements


def _sequence(snapshot: Snapshot) -> int:
    return snapshot.sequence
