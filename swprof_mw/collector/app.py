"""The HTTP side: OAP's ``POST /graphql`` as a Starlette app."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from swprof_mw.collector.graphql import Api, BadRequest
from swprof_mw.collector.store import Store

logger = logging.getLogger("swprof_mw")

LONGEST_BODY = 1024 * 1024
"""Bytes of a request."""


@dataclass(frozen=True)
class _Question:
    query: str
    variables: dict[str, Any] | None = None
    operation: str | None = None


def app(store: Store) -> Starlette:
    """The app that answers from ``store``. An error is ``{"errors": [{"message": …}]}`` with a fitting status."""
    api = Api(store)

    async def graphql(request: Request) -> Response:
        try:
            question = _question(request.headers.get("content-type", ""), await _body(request))
            answer = await run_in_threadpool(api.answer, question.query, question.variables, question.operation)
        except BadRequest as error:
            return JSONResponse({"errors": error.errors}, status_code=400)
        return JSONResponse(answer)

    return Starlette(
        routes=[Route("/graphql", graphql, methods=["POST"])],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise HTTPException(413, f"the request is longer than {LONGEST_BODY} bytes")
    return bytes(body)


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
