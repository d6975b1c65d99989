"""What a GraphQL query would cost, told before it is checked or answered."""

from __future__ import annotations

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
)

DEEPEST = 20
"""Fields inside of each other; the query by which tools ask for the schema has 15."""

MOST_FIELDS = 500
"""Fields in all, those of a fragment counted wherever it is used."""

MOST_ROOTS = 20
"""Fields at the top: each is a question of its own."""

_TYPE_LISTS = frozenset({"fields", "inputFields", "interfaces", "possibleTypes"})
_MOST_TYPE_LISTS = 2
"""Lists of the schema's own types inside of each other: they lead round in circles, and each has many entries."""


class TooDear(ValueError):
    """The query would take too long; the text says why."""


def check(document: DocumentNode) -> None:
    """Raise ``TooDear`` for a query that is too deep or too long once its fragments are put in, or circular."""
    parts = document.definitions
    fragments = {part.name.value: part for part in parts if isinstance(part, FragmentDefinitionNode)}
    for part in parts:
        if isinstance(part, OperationDefinitionNode):
            _Count(fragments).operation(part)


class _Count:
    """Walks an operation as it would be carried out, and gives up where that is too much."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._fields = 0
        self._steps = 0

    def operation(self, operation: OperationDefinitionNode) -> None:
        roots = self._below(operation.selection_set.selections, 1, 0)
        if roots > MOST_ROOTS:
            raise TooDear(f"the query has more than {MOST_ROOTS} fields at the top")

    def _below(self, selections: tuple[SelectionNode, ...], depth: int, type_lists: int) -> int:
        """The number of fields on this level."""
        found = 0
        for selection in selections:
            self._step(depth)
            if isinstance(selection, FieldNode):
                found += 1
                self._field(selection, depth, type_lists)
            elif isinstance(selection, FragmentSpreadNode):
                fragment = self._fragments.get(selection.name.value)
                # A circle has no end, and that of the deepest query comes first.
                found += self._below(fragment.selection_set.selections, depth + 1, type_lists) if fragment else 0
            elif isinstance(selection, InlineFragmentNode):
                found += self._below(selection.selection_set.selections, depth, type_lists)
        return found

    def _field(self, field: FieldNode, depth: int, type_lists: int) -> None:
        self._fields += 1
        if self._fields > MOST_FIELDS:
            raise TooDear(f"the query has more than {MOST_FIELDS} fields")
        type_lists += field.name.value in _TYPE_LISTS
        if type_lists > _MOST_TYPE_LISTS:
            raise TooDear("the query asks for the types of the types' types")
        if field.selection_set is not None:
            self._below(field.selection_set.selections, depth + 1, type_lists)

    def _step(self, depth: int) -> None:
        self._steps += 1
        if depth > DEEPEST:
            raise TooDear(f"the query is nested more than {DEEPEST} levels deep")
        if self._steps > 4 * MOST_FIELDS:
            raise TooDear(f"the query has more than {4 * MOST_FIELDS} fields and fragments")
