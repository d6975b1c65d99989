"""Calls to the backend by a client of our own: gRPC over HTTP/2, on the caller's thread, and without the grpc library.

It knows no proxy, and makes one call at a time: the reporter asks for no more. What it does not need, a process does
not pay for: the library's 14 MB, its threads, and what becomes of those when the process forks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from swprof_mw import native
from swprof_mw.clock import monotonic_ns
from swprof_mw.reporter import status as statuses
from swprof_mw.reporter.http2 import Fields, Http2
from swprof_mw.reporter.status import CallError
from swprof_mw.reporter.wire import TlsWire, Wire

if TYPE_CHECKING:
    import ssl

Metadata = Iterable[tuple[str, str]]
#: Makes a call with a message, or several, a deadline in seconds, and metadata.
Stub = Callable[..., Any]

_NS = 1_000_000_000
#: Messages are put together up to so many bytes.
_PIECE = 65_536
#: Who closes a channel waits so many seconds for the call that it breaks off; one that takes longer cleans up itself.
_CLOSING = 0.02
#: What an answer without a status of gRPC means: by HTTP's status, and by HTTP/2's code of a broken off one.
_OF_HTTP = {
    "401": "UNAUTHENTICATED",
    "403": "PERMISSION_DENIED",
    "404": "UNIMPLEMENTED",
    **dict.fromkeys(("429", "502", "503", "504"), "UNAVAILABLE"),
}
_OF_RESET = {
    7: "UNAVAILABLE",
    8: "CANCELLED",
    11: "RESOURCE_EXHAUSTED",
    12: "PERMISSION_DENIED",
}


class PlainChannel:
    """Calls to one backend, one at a time, over a connection that is opened for the first of them.

    Args:
        address: ``HOST:PORT``.
        context: for TLS; None: without.
        connecting: seconds that it may take to connect.
        agent: what the user agent is called.
    """

    def __init__(
        self,
        address: str,
        context: ssl.SSLContext | None = None,
        connecting: float = 3.0,
        agent: str = "swprof-mw",
    ) -> None:
        self._address = address
        self._connecting = int(connecting * _NS)
        self._context = context
        self._agent = agent
        self._calling = native.allocate_lock()
        self._connection: Http2 | None = None
        self._closed = False

    def unary_unary(self, path: str, request_serializer: Any, response_deserializer: Any) -> Stub:
        """The callable that makes a call with one message."""
        return partial(self._call, path, lambda request: (request_serializer(request),), response_deserializer)

    def stream_unary(self, path: str, request_serializer: Any, response_deserializer: Any) -> Stub:
        """The callable that makes a call with an iterable of messages."""
        return partial(self._call, path, partial(map, request_serializer), response_deserializer)

    def close(self) -> None:
        """End the connection, and break off the call that another thread makes."""
        self._closed = True
        connection = self._connection
        if connection is not None:
            connection.interrupt()
        if self._calling.acquire(True, _CLOSING):
            self._drop()
            self._calling.release()

    def _call(
        self,
        path: str,
        serialized: Callable[[Any], Iterable[bytes]],
        deserializer: Callable[[bytes], Any],
        request: Any,
        timeout: float,
        metadata: Metadata = (),
    ) -> Any:
        with self._calling:
            try:
                return deserializer(self._answer(path, serialized(request), timeout, metadata))
            except TimeoutError:
                self._drop()
                raise CallError("DEADLINE_EXCEEDED", f"no answer within {timeout:.1f} s") from None
            except OSError as error:
                self._drop()
                raise self._broken(error) from error
            finally:
                if self._closed:
                    self._drop()

    def _answer(self, path: str, messages: Iterable[bytes], timeout: float, metadata: Metadata) -> bytes:
        until = monotonic_ns() + int(timeout * _NS)
        connection = self._connected(until)
        fields = [
            (":method", "POST"),
            (":scheme", "https" if self._context else "http"),
            (":path", path),
            (":authority", self._address),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", self._agent),
            ("grpc-timeout", f"{max(int(timeout * 1000), 1)}m"),
            *metadata,
        ]
        exchange = connection.exchange(fields, _pieces(messages), until)
        if exchange.reset is not None and not _status(exchange.heads):
            status = _OF_RESET.get(exchange.reset, "INTERNAL")
            raise CallError(status, f"the call was broken off with code {exchange.reset}")
        return _message(exchange.heads, bytes(exchange.body))

    def _connected(self, until: int) -> Http2:
        """The connection; another one if the server has ended it since the last call."""
        if self._connection is not None:
            try:
                self._connection.settle(until)
            except OSError:
                self._drop()
        if self._connection is None or not self._connection.usable:
            self._drop()
            wire = Wire(self._address) if self._context is None else TlsWire(self._address, self._context)
            self._connection = Http2(wire)
            if self._closed:
                raise ConnectionError("closed")
            self._open(self._connection, until)
        return self._connection

    def _open(self, connection: Http2, until: int) -> None:
        """Connect, in less time than the call may take: there may be other backends to try."""
        soon = monotonic_ns() + self._connecting
        try:
            connection.open(min(soon, until))
        except TimeoutError:
            if soon > until:
                raise
            raise ConnectionError("the connection attempt timed out") from None

    def _broken(self, error: OSError) -> CallError:
        if self._closed:
            return CallError("CANCELLED", "the channel was closed")
        return CallError("UNAVAILABLE", f"{self._address}: {error}")

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _pieces(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Messages as gRPC puts them into a body, several small ones in a piece."""
    piece = bytearray()
    for message in messages:
        piece += b"\0" + len(message).to_bytes(4, "big") + message
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _message(heads: list[Fields], body: bytes) -> bytes:
    """The one message of an answer.

    Raises:
        CallError: it is none, or the answer's status is not OK.
    """
    status = _status(heads)
    if not status:
        http = dict(heads[0]).get(":status", "") if heads else ""
        raise CallError(_OF_HTTP.get(http, "UNKNOWN"), f"no answer of a gRPC server, but HTTP status {http}")
    details = next((value for fields in heads[::-1] for name, value in fields if name == "grpc-message"), "")
    if status != "0":
        code = int(status) if status.isascii() and status.isdigit() else -1
        raise CallError(statuses.name(code), unquote(details))
    if len(body) < 5 or body[0] or int.from_bytes(body[1:5], "big") != len(body) - 5:
        raise CallError("INTERNAL", "the answer is not one message")
    return body[5:]


def _status(heads: list[Fields]) -> str:
    return dict(heads[-1]).get("grpc-status", "") if heads else ""
