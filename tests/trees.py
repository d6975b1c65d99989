"""What a person reads in a profile's trees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from swprof_mw.collector.analysis import Tree
from swprof_mw.query.client import Element

#: The innermost lines of a request that does not work.
MARKS = ("[waiting]", "[queued]")


class Line(Protocol):
    """A line of a tree: of OAP's answer, or of our own analysis. Times in ms."""

    @property
    def id(self) -> int:
        """Unique in its tree."""

    @property
    def parent_id(self) -> int:
        """0 for the outermost line."""

    @property
    def code_signature(self) -> str:
        """What stands there."""

    @property
    def duration(self) -> int:
        """With all below it."""


def elements(tree: Tree) -> list[Element]:
    """The elements of our own analysis, as a client gets them."""
    times = tree.durations, tree.durations_child_excluded
    return list(map(Element, tree.ids, tree.parent_ids, tree.code_signatures, *times, tree.counts))


def function_time(trees: Iterable[Sequence[Line]], function: str) -> int:
    """All of a function's time, ms: its lines are nodes beside each other, and may call it again."""
    total = 0
    for lines in trees:
        by_id = {line.id: line for line in lines}
        for line in lines:
            total += line.duration if _is(line, function) and not _is(by_id.get(line.parent_id), function) else 0
    return total


def marked_time(trees: Iterable[Sequence[Line]], marks: Sequence[str] = MARKS) -> int:
    """The time in which the request did not work, ms."""
    return sum(line.duration for lines in trees for line in lines if line.code_signature in marks)


def _is(line: Line | None, function: str) -> bool:
    return line is not None and f".{function}: " in line.code_signature
