"""Stacks as trees: what begins alike is one path."""

from __future__ import annotations

from swprof_mw.collector.records import Stack


class Forest:
    """Nodes are numbers, 0 is above the roots, and a node's number is higher than that of its parent.

    Lists of numbers and texts, since tens of thousands of objects would keep the garbage collector busy.

    Attributes:
        texts, parents: of each node.
        children: of each node, by their texts.
        own, counts: of each node what belongs to it alone, ms and snapshots; to be added to.
    """

    def __init__(self) -> None:
        self.texts, self.parents = [""], [0]
        self.children: list[dict[str, int]] = [{}]
        self.own, self.counts = [0], [0]

    def path(self, stack: Stack) -> list[int]:
        """The nodes of a stack, from 0 on."""
        path = [node := 0]
        for text in stack:
            known = self.children[node]
            if text not in known:
                known[text] = self._add(node, text)
            path.append(node := known[text])
        return path

    def below(self, root: int) -> list[int]:
        """A root with all nodes below, level by level."""
        nodes = [root]
        for node in nodes:  # grows while it is walked
            nodes.extend(self.children[node].values())
        return nodes

    def totals(self, values: list[int]) -> list[int]:
        """Of each node the sum of its value and those of all nodes below."""
        totals = values.copy()
        for node in range(len(totals) - 1, 0, -1):
            totals[self.parents[node]] += totals[node]
        return totals

    def _add(self, parent: int, text: str) -> int:
        self.parents.append(parent)
        self.texts.append(text)
        self.own.append(0)
        self.counts.append(0)
        self.children.append({})
        return len(self.parents) - 1
