"""What is put around an app: what makes some requests long, what watches them all, and what does nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from swprof_mw.asgi.head import Head
from swprof_mw.wsgi.entry import raw_path

from .ledger import Ledger

WSGIApp = Callable[..., Iterable[bytes]]
ASGIApp = Callable[..., Awaitable[None]]

#: Requests that are made long take so many seconds more.
ADDED = 0.08


def work(seconds: float) -> None:
    """Keep the processor busy."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(200))


def lengthened_wsgi(app: WSGIApp, ledger: Ledger) -> WSGIApp:
    """The app, some of whose requests work or wait for a while before it is called."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        number = ledger.lengthens()
        if number:
            (work if number % 2 else time.sleep)(ADDED)
        return app(environ, start_response)

    return call


def lengthened_asgi(app: ASGIApp, ledger: Ledger) -> ASGIApp:
    """The app, some of whose requests work or wait for a while before it is called."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        number = ledger.lengthens() if is_request(scope) else 0
        if number % 2 or (number and not on_asyncio()):
            work(ADDED)
        elif number:
            await asyncio.sleep(ADDED)
        await app(scope, receive, send)

    return call


def watched_wsgi(app: WSGIApp, ledger: Ledger) -> WSGIApp:
    """The app, with every call of it in the ledger."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked = ledger.begin(lambda: (environ["REQUEST_METHOD"].upper(), raw_path(environ)))
        try:
            return app(environ, start_response)
        finally:
            asked.end()

    return call


def watched_asgi(app: ASGIApp, ledger: Ledger) -> ASGIApp:
    """The app, with every request and WebSocket in the ledger."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        if not is_request(scope):
            return await app(scope, receive, send)
        head = Head(scope)
        asked = ledger.begin(lambda: (head.method, head.full_path))

        async def sent(message: Any) -> None:
            await send(message)
            if message["type"].endswith(".body") and not message.get("more_body"):
                asked.end()

        try:
            await app(scope, receive, sent)
        finally:
            asked.end()

    return call


def is_request(scope: Any) -> bool:
    """Whether it is no lifespan, nor anything else."""
    return scope["type"] in ("http", "websocket")


def on_asyncio() -> bool:
    """Whether the loop that runs is asyncio's: in another one, a suspended request cannot be found."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


def empty_asgi(app: ASGIApp) -> ASGIApp:
    """A wrapper that does nothing."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return call
