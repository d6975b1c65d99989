"""For tests of the page's server: asking it as a browser would, and an OAP that answers what it is told to."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from swprof_mw.page.app import app
from swprof_mw.page.server import HttpServer
from swprof_mw.page.upstream import Upstream

VERSION = b'{"query": "{version}"}'
JSON = "application/json"


@dataclass(frozen=True)
class Told:
    """An HTTP answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The content, which has to be JSON."""
        return json.loads(self.content)

    @property
    def error(self) -> str:
        """The message of the only error."""
        [error] = self.json["errors"]
        return str(error["message"])


def ask(port: int, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Told:
    """Ask 127.0.0.1 for that very path."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Told(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def post(port: int, path: str, asked: Any, headers: Mapping[str, str] | None = None) -> Told:
    """Post ``asked``, bytes or what becomes JSON, as JSON."""
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    return ask(port, "POST", path, {"Content-Type": JSON, **(headers or {})}, body)


@dataclass
class FakeOap:
    """Answers each request with ``status``, ``headers`` and ``content``, byte by byte if there is a ``pause``."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": JSON})
    content: bytes = b'{"data": {"version": "9"}}'
    pause: float = 0.0
    port: int = 0
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def fake_oap() -> Iterator[FakeOap]:
    """One that listens."""
    oap = FakeOap()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            oap.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(oap.status)
            for name, value in oap.headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):  # the asker may have had enough
                self._send(oap.content)

        do_GET = do_PUT = do_HEAD = do_OPTIONS = do_POST

        def _send(self, content: bytes) -> None:
            if not oap.pause:
                self.wfile.write(content)
                return
            for byte in content:
                self.wfile.write(bytes([byte]))
                time.sleep(oap.pause)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    oap.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield oap
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def ui(oap: str, authorization: str = "", host: str = "127.0.0.1", token: str = "") -> Iterator[int]:
    """The page over that OAP, in this process; its port."""
    server = HttpServer(host, 0, "swprof-ui-http")
    try:
        server.start(app(Upstream(oap, authorization), lambda _: {"oap": oap}, host, token))
        yield server.port
    finally:
        server.stop()
