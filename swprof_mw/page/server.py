"""The HTTP server: uvicorn on a port that is taken first, in a thread of its own."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time

import uvicorn
from starlette.types import ASGIApp

START_WITHIN = 10.0
STOP_WITHIN = 2.0
"""Seconds that requests in progress are given."""

MOST_CONNECTIONS = 100
"""Of people, at once; further requests are answered 503."""


class ServerError(RuntimeError):
    """The server could not be started; the text says why."""


class HttpServer:
    """Listens on ``host:port`` from the beginning, and answers from `start` to `stop`.

    Args:
        host: a name or an address.
        port: 0 takes a free one; the attribute holds what was taken.
        thread: the name of its thread.

    Raises:
        ServerError: the port is taken, or not allowed.
    """

    def __init__(self, host: str, port: int, thread: str) -> None:
        self._socket = _listening(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self._name = thread
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:12800``."""
        return f"http://{joined(self.host, self.port)}"

    @property
    def page(self) -> str:
        """Where a browser on this machine finds it: ``http://127.0.0.1:12800/``."""
        return f"http://{joined(reachable(self.host), self.port)}/"

    def start(self, application: ASGIApp) -> None:
        """Returns once requests are answered. Raises ``ServerError`` if that takes too long."""
        config = uvicorn.Config(
            application,
            loop="asyncio",  # others would be set for the whole process, by older versions
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=int(STOP_WITHIN),
        )
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(target=server.run, args=([self._socket],), name=self._name, daemon=True)
        self._thread.start()
        latest = time.monotonic() + START_WITHIN
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > latest:
                raise ServerError("the HTTP server did not start")
            time.sleep(0.005)  # uvicorn has no event to wait for

    def stop(self) -> None:
        """Returns once the thread has ended. May be called again, and without `start`."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._socket.close()


def joined(host: str, port: int) -> str:
    """``host:port``, as it stands in an address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reachable(host: str, otherwise: str = "") -> str:
    """``host``, or, if that means all of this machine's addresses, ``otherwise``: by default its loopback."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return otherwise or ("127.0.0.1" if address.version == 4 else "::1")


def _listening(host: str, port: int) -> socket.socket:
    listening: socket.socket | None = None
    if not 0 <= port <= 65_535:  # some systems take the rest of a division for it
        raise ServerError(f"cannot listen on {joined(host, port)} for HTTP: a port is from 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        if listening is not None:
            listening.close()
        raise ServerError(f"cannot listen on {joined(host, port)} for HTTP: {error.strerror or error}") from error
    return listening
