"""Lists of thousands of plain objects in an answer: the executor would call a resolver for each field of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import FieldNode, GraphQLResolveInfo

View = dict[str, Any]


@dataclass(frozen=True)
class Flat:
    """Objects as columns: the values of each field, as they are sent. Texts, numbers, and ids as texts."""

    columns: Mapping[str, Sequence[str | int]]

    def objects(self, names: Mapping[str, str]) -> list[View]:
        """The objects with some of the fields, each field by another name."""
        chosen = (self.columns[field] for field in names.values())
        return [dict(zip(names, values, strict=True)) for values in zip(*chosen, strict=True)]


class Later:
    """Lists that are left out while a query is executed, and put into the answer after that."""

    def __init__(self) -> None:
        self._left: list[tuple[list[str | int], list[View]]] = []

    def leave(self, flat: Flat, info: GraphQLResolveInfo[Any]) -> list[View]:
        """What the executor is to go on with: an empty list, or all where more than plain fields is asked for."""
        names = _names(info.field_nodes)
        if names is None:
            return flat.objects({name: name for name in flat.columns})
        self._left.append((info.path.as_list(), flat.objects(names)))
        return []

    def put(self, data: Any) -> None:
        """Put in what was left out; nothing if there is no data."""
        for path, objects in self._left if data is not None else ():
            *way, last = path
            at = data
            for step in way:
                at = at[step]
            at[last] = objects


def _names(fields: Iterable[FieldNode]) -> dict[str, str] | None:
    """The fields that are asked for by the names that they have in the answer, if they are plain fields only."""
    names: dict[str, str] = {}
    for selection in (one for field in fields if field.selection_set for one in field.selection_set.selections):
        if not isinstance(selection, FieldNode) or selection.directives or selection.name.value.startswith("__"):
            return None
        names[selection.alias.value if selection.alias else selection.name.value] = selection.name.value
    return names
