"""The collector as one thing to start and stop: a gRPC server, an HTTP server and the store between them."""

from __future__ import annotations

from types import TracebackType

import grpc

from swprof_mw.collector import receiver
from swprof_mw.collector.app import app
from swprof_mw.collector.errors import CollectorError, StoreError
from swprof_mw.collector.store import Store
from swprof_mw.collector.upkeep import Upkeep
from swprof_mw.page import access
from swprof_mw.page.server import HttpServer, ServerError, joined, reachable

__all__ = ["Collector", "CollectorError", "StoreError"]

GRPC_PORT = 11800
HTTP_PORT = 12800
LOOPBACK = "127.0.0.1"
STOP_WITHIN = 2.0
"""Seconds that calls in progress are given."""


class Collector:
    """Serves agents on ``host:grpc_port`` and people on ``host:http_port``. Also a context manager.

    Args:
        grpc_port, http_port: 0 takes a free one; once started, the attributes hold what was taken.
        host: the name or address to listen on. One that other machines reach needs a token.
        store: where to keep what comes in; by default a new one in memory. It is the caller's to close.
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
        self._http: HttpServer | None = None
        self._upkeep: Upkeep | None = None

    @property
    def url(self) -> str:
        """The HTTP server's address, ``http://127.0.0.1:12800``."""
        return f"http://{joined(self.host, self.http_port)}"

    @property
    def page(self) -> str:
        """Where a browser on this machine finds the page, ``http://127.0.0.1:12800/``."""
        return f"http://{joined(reachable(self.host), self.http_port)}/"

    @property
    def backend(self) -> str:
        """The address to give to agents, ``127.0.0.1:11800``."""
        return joined(self.host, self.grpc_port)

    def start(self) -> Collector:
        """Listen; returns itself once both servers answer.

        Raises:
            CollectorError: a port is taken, or there should be a token.
        """
        try:
            access.check(self.host, self._token)
            self._http = HttpServer(self.host, self.http_port, "swprof-collector-http")
            self.http_port = self._http.port
            self._start_grpc()
            self._http.start(app(self.store, self.host, self._token, self.grpc_port))
        except (access.NotAllowed, ServerError) as error:
            self.stop()
            raise CollectorError(str(error)) from error
        except CollectorError:
            self.stop()
            raise
        self._upkeep = Upkeep(self.store).start()
        return self

    def stop(self) -> None:
        """End both servers and their threads; what is in progress has 2 s. May be called again."""
        if self._http is not None:
            self._http.stop()
        if self._grpc is not None:
            self._grpc.stop(STOP_WITHIN).wait()
        if self._upkeep is not None:
            self._upkeep.stop()
        self._http = self._grpc = self._upkeep = None

    def __enter__(self) -> Collector:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

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
