"""The page's HTTP side as a Starlette app: static files, OAP's ``POST /graphql``, ``POST /export``, ``GET /about``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swprof_mw.page import exports, files, guard, questions
from swprof_mw.page.source import Source, as_json, refusal
from swprof_mw.query.client import OapError

T = TypeVar("T")

AT_ONCE = 4
"""Queries that are answered at the same time: an analysis keeps a processor busy, and agents are waiting too."""

JSON = "application/json"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer that does not say otherwise."""


def app(source: Source, about: Callable[[str], Mapping[str, Any]], host: str, token: str) -> ASGIApp:
    """The app that shows ``source``. An error is ``{"errors": [{"message": …}]}`` with a fitting status.

    Args:
        source: who answers.
        about: what the page tells of where it is, given the name or address in the browser's address bar.
        host: the name or address that the server was told to listen on.
        token: what each request but those for static files must show as ``Authorization: Bearer``; empty: nothing.
    """
    static = files.load()
    routes = _Routes(source, about)
    return _Headers(
        Starlette(
            routes=[
                Route("/graphql", routes.graphql, methods=["POST"]),
                Route("/export", routes.export, methods=["POST"]),
                Route("/about", routes.about),
                *(Route(path, _served(file)) for path, file in static.items()),
            ],
            middleware=[Middleware(guard.Guard, host=host, token=token, public=static)],
            exception_handlers={HTTPException: _refused, OapError: _unanswered, Exception: _failed},
        )
    )


class _Routes:
    def __init__(self, source: Source, about: Callable[[str], Mapping[str, Any]]) -> None:
        self._source = source
        self._about = about

    async def graphql(self, request: Request) -> Response:
        kind, content = request.headers.get("content-type", ""), await questions.body(request)
        answer = await self._run(lambda: self._source.answer(questions.question(kind, content)))
        return Response(answer.content, answer.status, media_type=JSON)

    async def export(self, request: Request) -> Response:
        kind, content = request.headers.get("content-type", ""), await questions.body(request)

        def made() -> Response:
            return exports.response(self._source.queries, exports.wanted(questions.json_object(kind, content)))

        return await self._run(made)

    async def about(self, request: Request) -> Response:
        return Response(as_json(self._about(guard.name(request.headers["host"]))), media_type=JSON)

    async def _run(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)

    @cached_property
    def _limiter(self) -> anyio.CapacityLimiter:
        """Made in the event loop, as older versions of anyio want it."""
        return anyio.CapacityLimiter(AT_ONCE)


def _served(file: files.File) -> Callable[[Request], Any]:
    async def serve(request: Request) -> Response:
        return file.response(request)

    return serve


class _Headers:
    """Adds ``HEADERS`` to whatever is answered."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._inner(scope, receive, sending)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Response(refusal(error.detail), error.status_code, media_type=JSON, headers=error.headers)


async def _unanswered(request: Request, error: Exception) -> Response:
    return Response(refusal(str(error)), 502, media_type=JSON)


async def _failed(request: Request, error: Exception) -> Response:
    return Response(refusal("internal error"), 500, media_type=JSON)
