"""What every format starts from: requests, each with its stacks and how much of its time each of them took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


class Element(Protocol):
    """A node of one of the trees that ``getSegmentsProfileAnalyze`` answers."""

    @property
    def id(self) -> int:
        """Unique in its tree."""

    @property
    def parent_id(self) -> int:
        """The ``id`` above; 0, or one that is not there, for the root."""

    @property
    def code_signature(self) -> str:
        """The frame's text."""

    @property
    def own(self) -> int:
        """ms that none of the nodes below accounts for."""

    @property
    def count(self) -> int:
        """Snapshots that hold the node, those of the nodes below too."""


@dataclass(frozen=True)
class Stack:
    """Code signatures, outermost first, with the ms and the snapshots that ended exactly there; one is above 0."""

    code_signatures: tuple[str, ...]
    duration: int
    count: int


@dataclass(frozen=True)
class Profile:
    """One profiled request.

    Attributes:
        name: what a person calls it by.
        start: ms since the epoch; 0 if that is not known.
        duration: ms of the whole request; 0 if that is not known.
        stacks: in the order of a walk through its trees.
        labels: pairs of a name and a value that tell it from others.
    """

    name: str
    start: int
    duration: int
    stacks: tuple[Stack, ...]
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def analysed(self) -> int:
        """ms that the snapshots account for; the stacks' durations add up to it."""
        return sum(stack.duration for stack in self.stacks)


def stacks(trees: Iterable[Sequence[Element]]) -> tuple[Stack, ...]:
    """The stacks of a request's trees; those that nothing ended in are left out."""
    return tuple(stack for elements in trees for stack in _of_tree(elements))


def _of_tree(elements: Sequence[Element]) -> Iterator[Stack]:
    children: dict[int, list[Element]] = {}
    known = {element.id for element in elements}
    for element in elements:
        above = element.parent_id if element.parent_id in known else 0
        children.setdefault(above, []).append(element)
    path: list[str] = []
    waiting = [(root, 0) for root in reversed(children.get(0, []))]
    while waiting:  # not recursive: stacks may be as deep as Python's own limit
        element, depth = waiting.pop()
        del path[depth:]
        path.append(element.code_signature)
        below = children.get(element.id, [])
        count = element.count - sum(child.count for child in below)
        if element.own > 0 or count > 0:
            yield Stack(tuple(path), max(element.own, 0), max(count, 0))
        waiting.extend((child, depth + 1) for child in reversed(below))
