"""A TCP relay in front of a backend: the line between the two, that breaks as it is bidden."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading

_PIECE = 65_536
_LOOK = 0.02
#: Closing with it sends a reset.
_RESET = struct.pack("ii", 1, 0)


class Relay:
    """Takes connections on a free port of 127.0.0.1 and relays them, until `stop`; a context manager.

    Args:
        target: the backend's port of 127.0.0.1.
        delay: each piece of data takes so many seconds longer, either way.

    Attributes:
        cuts: connections that were cut half-way.
    """

    def __init__(self, target: int, delay: float = 0.0) -> None:
        self.cuts = 0
        self.delay = delay
        self._target = target
        self._lines: list[_Line] = []
        self._listening: socket.socket | None = None
        self._silent = False
        self._cut_after: int | None = None
        self._stopped = threading.Event()
        self.port = 0
        self.open()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """``HOST:PORT``, always the same."""
        return f"127.0.0.1:{self.port}"

    def open(self) -> None:
        """New connections are relayed, whatever was bidden before. Those that have met a black hole stay in it."""
        self._silent, self._cut_after = False, None
        if self._listening is None:
            self._listening = socket.create_server(("127.0.0.1", self.port))
            self._listening.setblocking(False)
            self.port = self._listening.getsockname()[1]

    def refuse(self) -> None:
        """New connections are refused, and all there are end with a reset."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
        for line in self._lines:
            line.reset()

    def swallow(self) -> None:
        """A black hole: connections are taken, and nothing passes any more, on the old ones neither. None is closed."""
        self._silent = True
        for line in self._lines:
            line.dead = True

    def cut(self, after: int) -> None:
        """Each connection, the old ones too, is reset when so many more bytes have come from the client."""
        self._cut_after = after
        for line in self._lines:
            line.left = after

    def stop(self) -> None:
        """End it."""
        self.refuse()
        self._stopped.set()
        self._thread.join()
        for line in self._lines:
            line.join()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self) -> None:
        while not self._stopped.wait(_LOOK):
            listening = self._listening
            with contextlib.suppress(OSError):
                while listening is not None:
                    near, _ = listening.accept()
                    self._lines.append(_Line(self, near, self._target, self._silent, self._cut_after))


class _Line:
    """One connection."""

    def __init__(self, relay: Relay, near: socket.socket, target: int, dead: bool, left: int | None) -> None:
        self.dead = dead
        self.left = left
        self._relay = relay
        self._near = near
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(target,), daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """The client's end is told that it is over."""
        self._ended.set()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def _run(self, target: int) -> None:
        with self._near, contextlib.suppress(OSError):
            if not self.dead:
                with socket.create_connection(("127.0.0.1", target)) as far:
                    self._relay_with(far)
            while self.dead and not self._ended.wait(_LOOK):
                pass
            self._near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _relay_with(self, far: socket.socket) -> None:
        while not (self.dead or self._ended.is_set()):
            for ready in select.select([self._near, far], [], [], _LOOK)[0]:
                data = ready.recv(_PIECE)
                self._ended.wait(self._relay.delay)
                if not data or self.dead or not self._passes(ready, data):
                    return
                (far if ready is self._near else self._near).sendall(data)

    def _passes(self, ready: socket.socket, data: bytes) -> bool:
        if self.left is None or ready is not self._near:
            return True
        self.left -= len(data)
        self._relay.cuts += self.left < 0
        return self.left >= 0
