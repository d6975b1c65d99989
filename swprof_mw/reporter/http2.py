"""One request at a time over an HTTP/2 connection (RFC 9113): the part of it that a gRPC client needs."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from swprof_mw.reporter import hpack
from swprof_mw.reporter.wire import Wire

Fields = list[tuple[str, str]]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PUSH, _PING, _GO_AWAY, _WINDOW, _CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW = 1, 2, 4
_CANCEL = 8
#: What both sides may send at first, and in one frame; we never ask for more.
_FIRST_WINDOW, _FRAME = 65_535, 16_384
_LARGEST_WINDOW = (1 << 31) - 1
#: An answer may be so large, bytes; what it says of itself, so large.
LARGEST_BODY = 4 << 20
_LARGEST_HEAD = 64 << 10


class ProtocolError(ConnectionError):
    """The other side does not speak HTTP/2 as it should: the connection is of no use."""


class GoneAway(ConnectionError):
    """The other side has ended the connection, and will not answer."""


class Exchange:
    """A request and its answer.

    Attributes:
        heads: the fields that begin the answer, and those that end it.
        body: what is between them.
        reset: the code with which the other side has broken it off; None if it has not.
        ended: whether all of the answer is there.
    """

    def __init__(self, number: int, window: int) -> None:
        self.number = number
        self.window = window
        self.heads: list[Fields] = []
        self.body = bytearray()
        self.reset: int | None = None
        self.ended = False


class Http2:
    """A connection to one server, used by one thread. After an exception it is of no use any more.

    Times are monotonic ns; when one is over, a ``TimeoutError`` is raised. Any other trouble with the connection is an
    ``OSError``.

    Args:
        wire: not connected yet.

    Attributes:
        usable: whether it takes another request.
    """

    def __init__(self, wire: Wire) -> None:
        self.usable = True
        self._greeted = False
        self._wire = wire
        self._buffer = bytearray()
        self._window = self._first_window = _FIRST_WINDOW
        self._next = 1
        self._current: Exchange | None = None
        #: A header block that is not whole yet: its stream, whether it ends that, and what there is of it.
        self._head: tuple[int, bool, bytearray] | None = None

    def open(self, until: int) -> None:
        """Connect, and hear from the other side: one that is silent need not be asked anything."""
        self._wire.connect(until)
        settings = struct.pack(">HLHL", _TABLE_SIZE, 0, _ENABLE_PUSH, 0)
        self._wire.send(_PREFACE + _frame(_SETTINGS, 0, 0, settings), until)
        while not self._greeted:
            self._take(self._wire.receive(until), until)

    def exchange(self, fields: Fields, body: Iterable[bytes], until: int) -> Exchange:
        """Make a request; its answer, once that is whole. A body that nobody wants any more is not sent to its end."""
        current = self._current = Exchange(self._next, self._first_window)
        self._next += 2
        self._wire.send(_frame(_HEADERS, _END_HEADERS, current.number, hpack.encode(fields)), until)
        for piece in body:
            if not self._send(current, piece, until):
                self._wire.send(_frame(_RESET, 0, current.number, struct.pack(">L", _CANCEL)), until)
                return current
        self._wire.send(_frame(_DATA, _END_STREAM, current.number, b""), until)
        while not current.ended:
            self._take(self._wire.receive(until), until)
        return current

    def settle(self, until: int) -> None:
        """Attend to what came since the last request: perhaps that there will not be another one."""
        while self.usable and (data := self._wire.arrived()) is not None:
            self._take(data, until)

    def interrupt(self) -> None:
        """Break off what a thread waits for. The one method for other threads."""
        self._wire.interrupt()

    def close(self) -> None:
        """End the connection."""
        self.usable = False
        self._wire.close()

    def _send(self, current: Exchange, piece: bytes, until: int) -> bool:
        """Send a piece of the body. False if the answer was whole before."""
        at = 0
        while at < len(piece):
            data = self._wire.arrived()
            if data is not None:
                self._take(data, until)
            size = min(self._window, current.window, len(piece) - at)
            if size <= 0 and not current.ended:
                self._take(self._wire.receive(until), until)
            elif not current.ended:
                self._window -= size
                current.window -= size
                # All at once: each turn of the wire lets others have the GIL, and the app's threads a turn.
                parts = (piece[begin : min(begin + _FRAME, at + size)] for begin in range(at, at + size, _FRAME))
                self._wire.send(b"".join(_frame(_DATA, 0, current.number, part) for part in parts), until)
                at += size
            else:
                return False
        return True

    def _take(self, data: bytes, until: int) -> None:
        """Attend to all frames that are whole with this data."""
        if not data:
            raise GoneAway("the connection was closed")
        self._buffer += data
        while len(self._buffer) >= 9:
            length = int.from_bytes(self._buffer[:3], "big")
            if length > _FRAME:
                raise ProtocolError(f"a frame of {length} bytes")
            if len(self._buffer) < 9 + length:
                return
            kind, flags = self._buffer[3], self._buffer[4]
            stream = int.from_bytes(self._buffer[5:9], "big") & _LARGEST_WINDOW
            payload = bytes(self._buffer[9 : 9 + length])
            del self._buffer[: 9 + length]
            self._attend(kind, flags, stream, payload, until)

    def _attend(self, kind: int, flags: int, stream: int, payload: bytes, until: int) -> None:
        if (self._head is not None) != (kind == _CONTINUATION):
            raise ProtocolError("a header block that is not continued")
        if kind == _DATA:
            self._take_data(flags, stream, payload, until)
        elif kind in (_HEADERS, _CONTINUATION):
            self._take_head(kind, flags, stream, payload)
        elif kind == _RESET:
            self._take_reset(stream, _number(payload))
        elif kind == _SETTINGS and not flags & _ACK:
            self._greeted = True
            self._take_settings(payload)
            self._wire.send(_frame(_SETTINGS, _ACK, 0, b""), until)
        elif kind == _PING and not flags & _ACK:
            self._wire.send(_frame(_PING, _ACK, 0, payload), until)
        elif kind == _GO_AWAY:
            self._take_farewell(payload)
        elif kind == _WINDOW:
            self._widen(stream, _number(payload))
        elif kind == _PUSH:
            raise ProtocolError("a push, which we have forbidden")

    def _take_data(self, flags: int, stream: int, payload: bytes, until: int) -> None:
        current = self._of(stream)
        if current is not None:
            current.body += _unpadded(flags, payload)
            if len(current.body) > LARGEST_BODY:
                raise ProtocolError(f"an answer of more than {LARGEST_BODY} bytes")
            current.ended = bool(flags & _END_STREAM)
        if payload:
            grown = struct.pack(">L", len(payload))
            both = (0, stream) if current is not None and not current.ended else (0,)
            self._wire.send(b"".join(_frame(_WINDOW, 0, each, grown) for each in both), until)

    def _take_head(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._head is None:
            payload = _unpadded(flags, payload)
            payload = payload[5:] if flags & _PRIORITY else payload
            self._head = stream, bool(flags & _END_STREAM), bytearray()
        began, ends, block = self._head
        block += payload
        if began != stream or len(block) > _LARGEST_HEAD:
            raise ProtocolError("a header block that is too large, or two at once")
        if not flags & _END_HEADERS:
            return
        self._head = None
        try:
            fields = hpack.decode(bytes(block))
        except hpack.HeaderError as error:
            raise ProtocolError(str(error)) from error
        current = self._of(stream)
        if current is not None:
            current.heads.append(fields)
            current.ended = ends

    def _take_reset(self, stream: int, code: int) -> None:
        current = self._of(stream)
        if current is not None:
            current.reset, current.ended = code, True

    def _take_settings(self, payload: bytes) -> None:
        for name, value in _pairs(payload):
            if name == _INITIAL_WINDOW:
                if self._current is not None:
                    self._current.window += value - self._first_window
                self._first_window = value

    def _take_farewell(self, payload: bytes) -> None:
        """The last stream that the server answers is in it; a current one up to that goes on to its end."""
        self.usable = False
        current = self._current
        if current is not None and not current.ended and current.number > _number(payload):
            raise GoneAway("the server takes no more requests on this connection")

    def _widen(self, stream: int, by: int) -> None:
        current = self._of(stream)
        if stream == 0:
            self._window += by
        elif current is not None:
            current.window += by

    def _of(self, stream: int) -> Exchange | None:
        """The current exchange if it is that stream's and goes on; what comes of earlier ones concerns nobody."""
        current = self._current
        return current if current is not None and current.number == stream and not current.ended else None


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">L", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">L", stream) + payload


def _number(payload: bytes) -> int:
    if len(payload) < 4:
        raise ProtocolError("a frame that is too short")
    return int.from_bytes(payload[:4], "big") & _LARGEST_WINDOW


def _pairs(payload: bytes) -> Iterator[tuple[int, int]]:
    if len(payload) % 6:
        raise ProtocolError("settings that are cut off")
    yield from struct.iter_unpack(">HL", payload)


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ProtocolError("a frame that is nothing but padding")
    return payload[1 : len(payload) - payload[0]]
