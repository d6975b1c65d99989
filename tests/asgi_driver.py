"""A server's side of ASGI in a few lines: it calls an app once and keeps all that the app sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Message = dict[str, Any]
Pairs = Iterable[tuple[str, str]]

REQUEST: Message = {"type": "http.request", "body": b"", "more_body": False}


def http(path: str, method: str = "GET", headers: Pairs = (), **changes: Any) -> Message:
    """The scope of one HTTP request; ``changes`` are keys of it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop.test"), *((key.encode(), value.encode()) for key, value in headers)],
        "client": ("10.1.2.3", 4567),
        "server": ("shop.test", 80),
        **changes,
    }


def websocket(path: str, **changes: Any) -> Message:
    """The scope of one WebSocket; ``changes`` are keys of it."""
    scope = http(path, scheme="ws", subprotocols=[], **{"type": "websocket", **changes})
    del scope["method"]
    return scope


class Exchanged:
    """One call of an app: gives it the messages it is to receive, and a disconnect once it has answered.

    Attributes:
        sent: the app's messages, all of which are kept.
    """

    def __init__(self, received: Iterable[Message] = (REQUEST,)) -> None:
        self._received = list(received)
        self._answered = asyncio.Event()
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        """The next message for the app."""
        if self._received:
            return dict(self._received.pop(0))
        await self._answered.wait()
        kind = "websocket" if str(self.sent[-1]["type"]).startswith("websocket.") else "http"
        return {"type": f"{kind}.disconnect"}

    async def send(self, message: Any) -> None:
        """Take a message of the app."""
        self.sent.append(dict(message))
        if message.get("type") in ("http.response.body", "websocket.close") and not message.get("more_body"):
            self._answered.set()

    @property
    def status(self) -> int:
        """The status that the app answered with."""
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        """All that the app answered."""
        return b"".join(message.get("body", b"") for message in self.sent)


async def acall(app: Callable[..., Awaitable[None]], scope: Any, received: Iterable[Message] = (REQUEST,)) -> Exchanged:
    """Call the app, in the loop that runs."""
    exchanged = Exchanged(received)
    await app(scope, exchanged.receive, exchanged.send)
    return exchanged


def call(app: Callable[..., Awaitable[None]], scope: Any, received: Iterable[Message] = (REQUEST,)) -> Exchanged:
    """Call the app, in a loop of its own."""
    return asyncio.run(acall(app, scope, received))
