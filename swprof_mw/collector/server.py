"""The collector as one thing to start and stop: a gRPC server, an HTTP server and the store between them."""

from __future__ import annotations

import logging
import socket
import threading
import time
from types import TracebackType

import grpc
import uvicorn
from starlette.types import ASGIApp

from swprof_mw.collector import access, receiver
from swprof_mw.collector.app import app
from swprof_mw.collector.store import Store

logger = logging.getLogger("swprof_mw")

GRPC_PORT = 11800
HTTP_PORT = 12800
LOOPBACK = "127.0.0.1"
START_WITHIN = 10.0
STOP_WITHIN = 2.0
"""Seconds that calls and requests in progress are given."""

MOST_CONNECTIONS = 100
"""Of people, at once; further requests are answered 503."""


class CollectorError(RuntimeError):
    """The collector could not be started; the text says why."""


class Collector:
    """Serves agents on ``host:grpc_port`` and people on ``host:http_port``. Also a context manager.

    Args:
        grpc_port, http_port: 0 takes a free one; once started, the attributes hold what was taken.
        host: the name or address to listen on. One that other machines reach needs a token.
        store: where to keep what comes in; a new one by default.
        token: what everybody has to show: agents as the metadata ``authentication``, people as
            ``Authorization: Bearer``. Printable ASCII without blanks; empty: nothing is asked for.
    """

    def __init__(
        self,
        grpc_port: int = GRPC_PORT,
        http_port: int = HTTP_PORT,
        host: str = LOOPBACK,
        store: Store | None = None,
        token: str = "",
    ) -> None:
        self.grpc_port, self.http_port, self.host = grpc_port, http_port, host
        self._token = token
        self.store = store or Store()
        self._grpc: grpc.Server | None = None
        self._http: _HttpServer | None = None

    @property
    def url(self) -> str:
        """The HTTP server's address, ``http://127.0.0.1:12800``."""
        return f"http://{_joined(self.host, self.http_port)}"

    @property
    def backend(self) -> str:
        """The address to give to agents, ``127.0.0.1:11800``."""
        return _joined(self.host, self.grpc_port)

    def start(self) -> Collector:
        """Listen; returns itself once both servers answer.

        Raises:
            CollectorError: a port is taken, or there should be a token.
        """
        self._check_token()
        listening = _listen(self.host, self.http_port)
        try:
            self._start_grpc()
        except CollectorError:
            listening.close()
            raise
        self.http_port = listening.getsockname()[1]
        self._http = _HttpServer(app(self.store, self.host, self._token), listening)
        try:
            self._http.start()
        except CollectorError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End both servers and their threads; what is in progress has 2 s. May be called again."""
        if self._http is not None:
            self._http.stop()
        if self._grpc is not None:
            self._grpc.stop(STOP_WITHIN).wait()
        self._http = self._grpc = None

    def __enter__(self) -> Collector:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _check_token(self) -> None:
        if self._token and not access.is_token(self._token):
            raise CollectorError("the token must be printable ASCII without blanks")
        try:
            needed = not access.is_loopback(self.host)
        except OSError as error:
            raise CollectorError(f"no address is known for {self.host}: {error.strerror or error}") from error
        if needed and not self._token:
            raise CollectorError(
                f"{self.host} is not loopback: a token is needed, or anybody could read and start profiles"
            )

    def _start_grpc(self) -> None:
        server = receiver.server(self.store, self._token)
        try:
            port = server.add_insecure_port(self.backend)
        except RuntimeError:
            port = 0  # newer grpcio raises, older returns 0; why, both tell only to stderr
        if not port:
            raise CollectorError(f"cannot listen on {self.backend} for agents: the port is taken or not allowed")
        self.grpc_port = port
        server.start()
        self._grpc = server


class _HttpServer:
    """uvicorn on a socket that listens already, in a thread of its own."""

    def __init__(self, application: ASGIApp, listening: socket.socket) -> None:
        self._socket = listening
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=int(STOP_WITHIN),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="swprof-collector-http", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Returns once requests are answered."""
        self._thread.start()
        latest = time.monotonic() + START_WITHIN
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > latest:
                raise CollectorError("the HTTP server did not start")
            time.sleep(0.005)  # uvicorn has no event to wait for

    def stop(self) -> None:
        """Returns once the thread has ended."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def _listen(host: str, port: int) -> socket.socket:
    listening: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        if listening is not None:
            listening.close()
        raise CollectorError(f"cannot listen on {_joined(host, port)} for HTTP: {error.strerror or error}") from error
    return listening


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
