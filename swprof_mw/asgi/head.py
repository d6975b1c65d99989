"""What a scope says of a request before the app has touched it."""

from __future__ import annotations

from typing import Any

from swprof_mw.asgi.types import Scope
from swprof_mw.span import Client

_NOBODY = (None, None)


class Head:
    """The beginning of a request, kept because routers change the scope in place.

    Args:
        scope: of an ``http`` or ``websocket`` connection.

    Attributes:
        method: HTTP method, upper case; ``GET`` for a WebSocket, which begins as one.
        path: as the scope has it, decoded and without query.
        full_path: the path with the prefix in front; newer servers and routers have it in there already.
        root_path: the prefix that this app is served at, by the server or by a mount; mostly empty.
        routed: whether a Starlette router has been passed already, further out.
        guess: the name that was given by the path alone, before the app ran; empty if none was.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the scope is not as ASGI has it.
    """

    guess = ""  # the class's, so that one costs less to make

    def __init__(self, scope: Scope) -> None:
        self.method: str = "GET" if scope["type"] == "websocket" else str.upper(scope["method"])
        path: str = scope["path"]
        root: str = scope.get("root_path") or ""
        if not (isinstance(path, str) and isinstance(root, str)):
            raise TypeError("path and root_path are to be str")
        self.path = path
        self.root_path = root
        self.full_path = path if not root or path == root or path.startswith(f"{root}/") else root + path
        self.routed = "router" in scope


def caller(scope: Scope) -> tuple[Client, str]:
    """Who asks: the client's host and port, as far as the server says, and the value of the ``sw8`` header.

    Raises:
        TypeError, ValueError: the scope's ``client`` is no pair, or its headers are none.
    """
    client: Any = scope.get("client")
    host, port = client or _NOBODY
    sw8 = header(scope.get("headers") or (), b"sw8")
    return (host, port), sw8.decode("latin-1") if sw8 else ""


def header(headers: Any, name: bytes) -> bytes:
    """The first value of a header, its name in lower case; empty if there is none.

    ASGI has headers as any iterable of iterables. Only what can be read twice is read: the rest is for the app, or for
    the server.

    Raises:
        TypeError, ValueError: the headers are no iterable of pairs.
    """
    if not isinstance(headers, list | tuple):
        if not hasattr(headers, "__iter__"):
            raise TypeError("headers are to be iterable")
        return b""
    value: bytes
    for pair in headers:
        if type(pair) is not tuple and hasattr(pair, "__next__"):
            continue
        key, value = pair
        if key == name:
            return value
    return b""
