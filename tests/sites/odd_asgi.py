"""ASGI apps without a framework that answer in every way that the specification has, and in some that it has not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.sites.common import Failure, events, file, spend

App = Callable[[Any, Any, Any], Awaitable[Any]]

HEADERS = [(b"content-type", b"text/plain")]


def start(status: int = 200, headers: Any = None, **more: Any) -> dict[str, Any]:
    """The first message."""
    return {"type": "http.response.start", "status": status, "headers": HEADERS if headers is None else headers, **more}


def body(content: bytes, more: bool = False) -> dict[str, Any]:
    """The next one."""
    return {"type": "http.response.body", "body": content, "more_body": more}


def sends(*messages: Callable[[], dict[str, Any]], then: Exception | None = None, returns: object = None) -> App:
    """An app that sends these, and ends so."""

    async def app(scope: Any, receive: Any, send: Any) -> Any:
        for make in messages:
            await send(make())
        if then is not None:
            raise then
        return returns

    return app


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    content = b""
    while True:
        message = await receive()
        content += message.get("body", b"")
        if not message.get("more_body"):
            break
    told = [scope["method"], scope["path"], scope["query_string"], scope["http_version"], scope["root_path"]]
    await send(start())
    await send(body(repr(told).encode() + content))


async def _slow(scope: Any, receive: Any, send: Any) -> None:
    spend(0.05)
    await send(start())
    await send(body(b"slow"))


async def _after(scope: Any, receive: Any, send: Any) -> None:
    await send(start())
    await send(body(b"done"))
    await asyncio.sleep(0)
    events.append("after")


async def _endless(scope: Any, receive: Any, send: Any) -> None:
    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.ensure_future(listen())
    await send(start())
    try:
        while not gone.done():
            await send(body(b"x" * 65_536, more=True))
            await asyncio.sleep(0)
    except BaseException:
        events.append("failed")
        raise
    finally:
        gone.cancel()
        events.append("gone")


async def _path(scope: Any, receive: Any, send: Any) -> None:
    offered = "http.response.pathsend" in scope.get("extensions", {})
    await send(start(headers=[*HEADERS, (b"x-pathsend", str(offered).encode())]))
    await send({"type": "http.response.pathsend", "path": str(file())} if offered else body(b"not offered"))


async def _trailers(scope: Any, receive: Any, send: Any) -> None:
    offered = "http.response.trailers" in scope.get("extensions", {})
    await send(start(trailers=offered))
    await send(body(b"with trailers" if offered else b"not offered"))
    if offered:
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": False})


async def _hint(scope: Any, receive: Any, send: Any) -> None:
    if "http.response.early_hint" in scope.get("extensions", {}):
        await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]})
    await send(start())
    await send(body(b"hinted"))


APPS: dict[str, App] = {
    "plain": sends(lambda: start(headers=[(b"content-length", b"5")]), lambda: body(b"plain")),
    "iterator": sends(lambda: start(headers=iter([*HEADERS, (b"x-any", b"1")])), lambda: body(b"x")),
    "pairs iterate": sends(lambda: start(headers=[iter(pair) for pair in HEADERS]), lambda: body(b"x")),
    "lists": sends(lambda: start(headers=[list(pair) for pair in HEADERS]), lambda: body(b"x")),
    "tuple": sends(lambda: start(headers=tuple(HEADERS)), lambda: body(b"x")),
    "no headers": sends(lambda: {"type": "http.response.start", "status": 200}, lambda: body(b"x")),
    "chunks": sends(start, lambda: body(b"one", more=True), lambda: body(b"", more=True), lambda: body(b"two")),
    "no content": sends(lambda: start(204, []), lambda: body(b"")),
    "not modified": sends(lambda: start(304, []), lambda: body(b"")),
    "too short": sends(lambda: start(headers=[(b"content-length", b"50")]), lambda: body(b"short")),
    "too long": sends(lambda: start(headers=[(b"content-length", b"2")]), lambda: body(b"long")),
    "bad header": sends(lambda: start(headers=[(b"x", b"a\r\nb: c")]), lambda: body(b"x")),
    "bad status": sends(lambda: start(status=99999), lambda: body(b"x")),
    "text status": sends(lambda: start(status="200"), lambda: body(b"x")),  # type: ignore[arg-type]
    "no body": sends(start),
    "nothing": sends(),
    "fail": sends(then=Failure("at once")),
    "fail after start": sends(start, then=Failure("after start")),
    "fail midway": sends(start, lambda: body(b"half", more=True), then=Failure("midway")),
    "fail at the end": sends(start, lambda: body(b"all"), then=Failure("too late")),
    "twice": sends(start, start, lambda: body(b"x")),
    "no start": sends(lambda: body(b"x")),
    "after the end": sends(start, lambda: body(b"x"), lambda: body(b"y")),
    "unknown": sends(lambda: {"type": "http.unknown"}),
    "typeless": sends(dict),
    "result": sends(start, lambda: body(b"x"), returns="a result"),
    "exits": sends(start, lambda: body(b"half", more=True), then=asyncio.CancelledError()),  # type: ignore[arg-type]
    "echo": _echo,
    "slow": _slow,
    "after": _after,
    "path": _path,
    "trailers": _trailers,
    "hint": _hint,
    "endless": _endless,
}


async def application(scope: Any, receive: Any, send: Any) -> Any:
    """The app whose name the path ends in."""
    name = scope["path"].rpartition("/")[2].replace("-", " ")
    app: App = APPS.get(name, _echo)
    return await app(scope, receive, send)
