"""The HTTP side: OAP's ``POST /graphql`` as a Starlette app."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from swprof_mw.collector.graphql import Api, BadRequest
from swprof_mw.collector.guard import Guard
from swprof_mw.collector.store import Store

logger = logging.getLogger("swprof_mw")

LONGEST_BODY = 1024 * 1024
"""Bytes of a request."""

SLOWEST_BODY = 10.0
"""Seconds that a request's body may take to come."""

DEEPEST_JSON = 20
"""Objects and lists inside of each other; a query's variables have five."""

AT_ONCE = 4
"""Queries that are answered at the same time: an analysis keeps a processor busy, and agents are waiting too."""


@dataclass(frozen=True)
class _Question:
    query: str
    variables: dict[str, Any] | None = None
    operation: str | None = None


def app(store: Store, host: str = "localhost", token: str = "") -> Starlette:
    """The app that answers from ``store``. An error is ``{"errors": [{"message": …}]}`` with a fitting status.

    Args:
        store: what is told.
        host: the name or address that people ask for.
        token: what each request must show as ``Authorization: Bearer``; empty: nothing.
    """
    api = Api(store)
    at_once = _Limit()

    async def graphql(request: Request) -> Response:
        answer = partial(_answer, api, request.headers.get("content-type", ""), await _body(request))
        try:
            return JSONResponse(await anyio.to_thread.run_sync(answer, limiter=at_once.limiter))
        except BadRequest as error:
            return JSONResponse({"errors": error.errors}, status_code=400)

    return Starlette(
        routes=[Route("/graphql", graphql, methods=["POST"])],
        middleware=[Middleware(Guard, host=host, token=token)],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )


class _Limit:
    """A limiter that is made in the event loop, as older versions of anyio want it."""

    @cached_property
    def limiter(self) -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(AT_ONCE)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        with anyio.fail_after(SLOWEST_BODY):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LONGEST_BODY:
                    raise HTTPException(413, f"the request is longer than {LONGEST_BODY} bytes")
    except TimeoutError as error:
        raise HTTPException(408, f"the request took longer than {SLOWEST_BODY:.0f} s to come") from error
    return bytes(body)


def _answer(api: Api, content_type: str, body: bytes) -> Any:
    question = _question(content_type, body)
    return api.answer(question.query, question.variables, question.operation)


def _question(content_type: str, body: bytes) -> _Question:
    """The query in a request's body.

    Only types a browser does not send to a foreign site by itself are read: the collector has no login.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/graphql":
        return _Question(_text(body))
    if kind == "application/json" or kind.endswith("+json"):
        return _json_question(_text(body))
    raise HTTPException(415, "only JSON and application/graphql are supported")


def _json_question(text: str) -> _Question:
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest([{"message": f"the request is not JSON: {error}"}]) from error
    if _is_deep(asked):
        raise BadRequest([{"message": f"the request is nested more than {DEEPEST_JSON} levels deep"}])
    if not isinstance(asked, dict):
        raise BadRequest([{"message": "the request is not a JSON object"}])
    query, variables, operation = asked.get("query"), asked.get("variables"), asked.get("operationName")
    if not isinstance(query, str) or not query:
        raise BadRequest([{"message": "query is missing"}])
    if not isinstance(variables, dict | None):
        raise BadRequest([{"message": "variables is not a JSON object"}])
    if not isinstance(operation, str | None):
        raise BadRequest([{"message": "operationName is not a text"}])
    return _Question(query, variables, operation)


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


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest([{"message": f"the request is not UTF-8: {error.reason}"}]) from error


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"errors": [{"message": error.detail}]}, error.status_code, headers=error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"errors": [{"message": "internal error"}]}, 500)
