"""What people send: bodies of a bounded size, as JSON of a bounded depth. All raise ``HTTPException``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request

LONGEST_BODY = 1024 * 1024
"""Bytes of a request."""

SLOWEST_BODY = 10.0
"""Seconds that a request's body may take to come."""

DEEPEST_JSON = 20
"""Objects and lists inside of each other; a query's variables have five."""


@dataclass(frozen=True)
class Question:
    """A GraphQL query."""

    query: str
    variables: dict[str, Any] | None = None
    operation: str | None = None


async def body(request: Request) -> bytes:
    """The request's body, with status 413 if it is too long, 408 if it takes too long."""
    received = bytearray()
    try:
        with anyio.fail_after(SLOWEST_BODY):
            async for chunk in request.stream():
                received += chunk
                if len(received) > LONGEST_BODY:
                    raise HTTPException(413, f"the request is longer than {LONGEST_BODY} bytes")
    except TimeoutError as error:
        raise HTTPException(408, f"the request took longer than {SLOWEST_BODY:.0f} s to come") from error
    return bytes(received)


def question(content_type: str, content: bytes) -> Question:
    """The query in a request's body, as JSON or as it is (``application/graphql``)."""
    if _kind(content_type) == "application/graphql":
        return Question(_text(content))
    asked = json_object(content_type, content)
    query, variables, operation = asked.get("query"), asked.get("variables"), asked.get("operationName")
    if not isinstance(query, str) or not query:
        raise HTTPException(400, "query is missing")
    if not isinstance(variables, dict | None):
        raise HTTPException(400, "variables is not a JSON object")
    if not isinstance(operation, str | None):
        raise HTTPException(400, "operationName is not a text")
    return Question(query, variables, operation)


def json_object(content_type: str, content: bytes) -> dict[str, Any]:
    """The JSON object in a request's body.

    Only types a browser does not send to a foreign site by itself are read: there may be no login.
    """
    kind = _kind(content_type)
    if not (kind == "application/json" or kind.endswith("+json")):
        raise HTTPException(415, "only JSON and application/graphql are supported")
    try:
        asked = json.loads(_text(content))
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the request is not JSON: {error}") from error
    if _is_deep(asked):
        raise HTTPException(400, f"the request is nested more than {DEEPEST_JSON} levels deep")
    if not isinstance(asked, dict):
        raise HTTPException(400, "the request is not a JSON object")
    return asked


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST_JSON):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(value, dict | list) for value in level)


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise HTTPException(400, f"the request is not UTF-8: {error.reason}") from error
