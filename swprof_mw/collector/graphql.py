"""OAP's GraphQL queries, answered from a store."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import resources
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    build_schema,
    execute_sync,
    parse,
    validate,
)

from swprof_mw.collector import cost
from swprof_mw.collector.flat import Flat, Later, View
from swprof_mw.collector.resolvers import Resolvers
from swprof_mw.collector.store import Store
from swprof_mw.log import fields

logger = logging.getLogger("swprof_mw")

SCHEMA_FILE = "schema.graphql"
LONGEST_QUERY = 20_000
"""Characters; the longest that the UI sends has some hundred. Checking a query takes time that grows faster than it."""


class BadRequest(ValueError):
    """A request that is no valid query; ``errors`` says why, in GraphQL's form."""

    def __init__(self, errors: list[View]) -> None:
        super().__init__("; ".join(str(error["message"]) for error in errors))
        self.errors = errors


class Api:
    """The schema together with a store. Safe to use from any thread."""

    def __init__(self, store: Store) -> None:
        self._schema: GraphQLSchema = build_schema(resources.files(__package__).joinpath(SCHEMA_FILE).read_text())
        self._root = Resolvers(store)

    def answer(self, query: str, variables: Mapping[str, Any] | None = None, operation: str | None = None) -> View:
        """``{"data": …}``, with ``"errors"`` where a field could not be answered, ``"errors"`` alone where none was.

        Raises ``BadRequest`` if ``query`` can not be read, or does not fit the schema.
        """
        later = Later()
        result = execute_sync(
            self._schema,
            self._document(query),
            root_value=self._root,
            variable_values=dict(variables or {}),
            operation_name=operation or None,
            context_value=later,
            field_resolver=_resolve,
        )
        later.put(result.data)
        if not result.errors:
            return {"data": result.data}
        told = [_formatted(error) for error in result.errors]
        # Without a path it was not begun, as for variables that do not fit: then there is no data, not even none.
        return {"errors": told, "data": result.data} if result.errors[0].path else {"errors": told}

    def _document(self, query: str) -> DocumentNode:
        if len(query) > LONGEST_QUERY:
            raise BadRequest([{"message": f"the query is longer than {LONGEST_QUERY} characters"}])
        try:
            document = parse(query)
            cost.check(document)
            errors = validate(self._schema, document)
        except GraphQLError as error:
            raise BadRequest([_formatted(error)]) from error
        except cost.TooDear as error:
            raise BadRequest([{"message": str(error)}]) from error
        except RecursionError as error:
            raise BadRequest([{"message": "the query is nested too deeply"}]) from error
        if errors:
            raise BadRequest([_formatted(error) for error in errors])
        return document


def _resolve(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    """A field of the root is the method of that name, any other a key."""
    if isinstance(source, Resolvers):
        return getattr(source, info.field_name)(**arguments)
    value = source[info.field_name]
    return info.context.leave(value, info) if isinstance(value, Flat) else value


def _formatted(error: GraphQLError) -> View:
    """What the asker may see: what was wrong with the query, but nothing of our own faults."""
    shown = dict(error.formatted)
    if error.original_error is not None and not isinstance(error.original_error, GraphQLError | ValueError):
        cause = error.original_error
        logger.error("a query failed: %r", cause, exc_info=cause, extra=fields("query_failed", error=repr(cause)))
        shown["message"] = "internal error"
    return shown
