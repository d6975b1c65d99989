"""Bytes to and from a backend, with or without TLS, each step of it within a time.

The socket is the interpreter's own, whatever gevent has put in its place, and so is the wait for it.
"""

from __future__ import annotations

import _socket
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from swprof_mw.clock import monotonic_ns

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")

_PIECE = 65_536
_NS = 1_000_000_000


class Wire:
    """A TCP connection, used by one thread.

    Args:
        address: ``HOST:PORT``, an IPv6 host in brackets.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.host, self._port = host.strip("[]"), int(port)
        self._socket: _socket.socket | None = None
        self._waits = True

    def connect(self, until: int) -> None:
        """Connect, to the first of the host's addresses that answers. ``until``: here and below, monotonic ns.

        One that does not answer takes its part of the time only: the others have theirs.

        Raises:
            OSError: none answers.
            TimeoutError: here and below, it is too late.
        """
        failed = OSError(f"{self.host} has no address")
        # As bytes: Python makes them of text with a codec that it imports for that, which a fork may interrupt.
        host = self.host.encode("ascii" if self.host.isascii() else "idna")
        found = _socket.getaddrinfo(host, self._port, 0, _socket.SOCK_STREAM)
        for left, (family, kind, protocol, _, where) in zip(range(len(found), 0, -1), found, strict=True):
            now = monotonic_ns()
            self._socket, self._waits = _socket.socket(family, kind, protocol), True
            try:
                self._within(now + (until - now) // left if until > now else until).connect(where)
                self._socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
                return
            except OSError as error:
                failed = error
                self.close()
        raise failed

    def send(self, data: bytes, until: int) -> None:
        """Send all of it.

        Raises:
            OSError: the connection is broken.
        """
        left = memoryview(data)
        while left:
            try:
                sent = self._at_once().send(left)
            except BlockingIOError:
                sent = self._within(until).send(left)
            left = left[sent:]

    def receive(self, until: int) -> bytes:
        """What comes next; nothing if the other side has ended the connection. Same errors as ``send``.

        With ``until`` 0 it does not wait, and raises ``BlockingIOError`` if nothing is here.
        """
        return (self._within(until) if until else self._at_once()).recv(_PIECE)

    def arrived(self) -> bytes | None:
        """What is here already, as ``receive`` gives it; None if that is nothing."""
        try:
            return self.receive(0)
        except (BlockingIOError, TimeoutError):
            return None

    def interrupt(self) -> None:
        """End the connection under a thread that waits for it. The one method for other threads."""
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(_socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def _within(self, until: int) -> _socket.socket:
        """The socket, told how long it may take."""
        if self._socket is None:
            raise ConnectionError("not connected")
        left = max(until - monotonic_ns(), 0) / _NS
        if not left:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        self._waits = True
        return self._socket

    def _at_once(self) -> _socket.socket:
        """The socket, told not to wait. Only if it was told otherwise: each telling lets others have the GIL."""
        if self._socket is None:
            raise ConnectionError("not connected")
        if self._waits:
            self._socket.settimeout(0)
            self._waits = False
        return self._socket


class TlsWire(Wire):
    """The same with TLS.

    Args:
        context: the files.
    """

    def __init__(self, address: str, context: ssl.SSLContext) -> None:
        import ssl

        super().__init__(address)
        self._more = ssl.SSLWantReadError
        self._over = (ssl.SSLZeroReturnError, ssl.SSLEOFError)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=self.host)

    def connect(self, until: int) -> None:
        """As without TLS, and then the handshake."""
        super().connect(until)
        self._step(self._tls.do_handshake, until)

    def send(self, data: bytes, until: int) -> None:
        """Send all of it."""
        self._step(lambda: self._tls.write(data), until)

    def receive(self, until: int) -> bytes:
        """What comes next; nothing if the other side has ended the connection."""
        try:
            return self._step(lambda: self._tls.read(_PIECE), until)
        except self._over:
            return b""

    def _step(self, step: Callable[[], T], until: int) -> T:
        """Do it as soon as enough has come for it. What is to be said for it, or of its failure, goes out."""
        while True:
            try:
                return step()
            except self._more:
                pass
            finally:
                if self._outgoing.pending:
                    super().send(self._outgoing.read(), until or monotonic_ns() + _NS)
            data = super().receive(until)
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()
