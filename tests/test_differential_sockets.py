"""Raw bytes on real servers: what a client gets of each site, without us and with, idle and while a task runs."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import servers
from tests.environments import environment
from tests.generated.amount import FACTOR, cases
from tests.generated.http_cases import REQUESTS, Request
from tests.oap.server import Child, free_ports
from tests.sites import odd_asgi, odd_wsgi
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent
WSGI = ["waitress", "gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent", "wsgiref", "uwsgi"]
ASGI = ["uvicorn", "hypercorn"]
UWSGI = ("--enable-threads", "--die-on-term", "--need-app", "--buffer-size", "65535")
#: A server that is not done by then has forgotten its client, seconds.
LONGEST = 10.0

SITES = {
    "flask": [
        "/",
        "/items/7/x",
        "/abort/404",
        "/abort/500",
        "/fail",
        "/away",
        "/stream/3",
        "/broken/2",
        "/file",
        "/sized",
    ],
    "django": ["/", "/items/7/x", "/abort/404", "/fail", "/away", "/stream/3", "/broken/2", "/file", "/stream_later/3"],
    "starlette": ["/", "/items/7/x", "/worker/7", "/abort/500", "/fail", "/away", "/stream/3", "/stream-worker/3"],
    "fastapi": ["/items/7", "/items/x", "/more/file", "/more/stream/2", "/more/part/x/here", "/nowhere", "/docs"],
}
FILES = {"flask": "/file", "starlette": "/file", "fastapi": "/more/file", "django": "/file"}
#: Apps whose answers to HEAD and to HTTP/1.0 are compared in any case.
TELLING = ["list", "single", "generator", "file", "write", "late", "sized alone", "plain", "chunks", "iterator"]
RANGES = ["bytes=0-9", "bytes=-5", "bytes=69990-", "bytes=0-1,4-5", "bytes=99999-"]


ENDLESS = Request("GET", "/endless", "", {"Host": "shop.test"}, b"")
FIRST = Request("GET", "/", "", {"Host": "shop.test"}, b"")


def requests(kind: str) -> Iterator[tuple[str, Request, str]]:
    """What every server is asked: the site, the request, the version of HTTP."""
    is_wsgi = kind in WSGI
    sites = ["flask", "django"] if is_wsgi else ["starlette", "fastapi", "django"]
    host = {"Host": "shop.test"}
    for site in sites:
        found = [Request("GET", path, "a=b", {**host, "X-Any": "1"}, b"") for path in SITES[site]]
        found += [Request("GET", FILES[site], "", {**host, "Range": each}, b"") for each in RANGES]
        found += [Request(method, "/", "", host, b"body") for method in ("HEAD", "POST", "OPTIONS")]
        yield from ((site, request, "1.1") for request in found)
    for name in sorted(set(odd_wsgi.APPS if is_wsgi else odd_asgi.APPS) - {"endless", "slow"}):
        path = f"/{name.replace(' ', '-')}"
        yield "odd", Request("GET", path, "", host, b""), "1.1"
        if FACTOR > 1 or name in TELLING:
            yield "odd", Request("HEAD", path, "", host, b""), "1.1"
            yield "odd", Request("GET", path, "", host, b""), "1.0"
    yield "odd", Request("POST", "/echo", "q=%ff&", {**host, "Cookie": "a=b", "sw8": "1-x"}, b"\x00body"), "1.1"
    yield "odd", Request("GET", "/slow", "", host, b""), "1.1"


class Client:
    """Talks to one server in bytes.

    Args:
        port: of 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def exchange(self, *requests: bytes, read: int | None = None) -> bytes:
        """Send requests on one connection; all that comes back, or the first ``read`` bytes of it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=LONGEST) as connection:
            for request in requests:
                connection.sendall(request)
            parts: list[bytes] = []
            while read is None or sum(map(len, parts)) < read:
                try:
                    part = connection.recv(65_536)
                except ConnectionResetError:
                    parts.append(b"<reset>")
                    break
                if not part:
                    break
                parts.append(part)
        return normal(b"".join(parts))

    def control(self, what: str) -> Any:
        """Ask the process for something besides."""
        answer = self.exchange(f"GET /-/{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return json.loads(answer.partition(b"\r\n\r\n")[2])


def normal(answer: bytes) -> bytes:
    """An answer without what is another one each time: the time, and what tells several ranges apart."""
    answer = re.sub(rb"(?im)^date: [^\r\n]*", b"Date: now", answer)
    return re.sub(rb"\b[0-9a-f]{26}\b", b"BOUNDARY", answer)


def encoded(site: str, request: Request, side: str, version: str = "1.1") -> bytes:
    """A request as bytes."""
    query = f"?{request.query}" if request.query else ""
    lines = [f"{request.method} /{site}{request.path}{query} HTTP/{version}", f"X-Side: {side}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines += [f"Content-Length: {len(request.body)}"] if request.body else []
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1", "replace") + request.body


@contextlib.contextmanager
def started(kind: str) -> Iterator[Client]:
    """A server of that kind with all sites."""
    module = "tests.sites.wsgi_sides" if kind in WSGI else "tests.sites.asgi_sides"
    # uWSGI brings no packages of its own.
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    if kind in servers.COMMANDS:
        python, options = (_uwsgi(), UWSGI) if kind == "uwsgi" else (sys.executable, ())
        target = f"{module}:application"
        with servers.start(kind, target, paths, ROOT, path="/-/events", options=options, python=python) as server:
            yield Client(server.port)
        return
    [port] = free_ports(0)
    child = Child([sys.executable, "-m", module, str(port)], {**os.environ, **paths}, ROOT)
    try:
        eventually(lambda: not child.alive() or _listens(port), f"{kind} listens")
        assert child.alive(), child.tail()
        yield Client(port)
    finally:
        child.stop()


def _uwsgi() -> str:
    return str(environment("uwsgi", sys.executable, "uwsgi==2.0.31"))


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture(scope="module", params=[*WSGI, *ASGI])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, Client]]:
    """A server of each kind, and a client of it."""
    kind: str = request.param
    with started(kind) as client:
        for site in dict.fromkeys(site for site, _, _ in requests(kind)):
            client.exchange(encoded(site, FIRST, "with"))
        yield kind, client


def test_usual_requests(server: tuple[str, Client]) -> None:
    kind, client = server
    for site, request, version in requests(kind):
        client.control("stop")
        bare = client.exchange(encoded(site, request, "bare", version))
        assert client.exchange(encoded(site, request, "with", version)) == bare, (site, request, version)
        client.control("task")
        assert client.exchange(encoded(site, request, "with", version)) == bare, (site, request, version)
    eventually(lambda: client.control("task")[0] == 0, "all slots are given back", interval=0.01)
    _, snapshots = client.control("stop")
    assert snapshots > 4, "nothing was sampled"


@given(st.integers(0, 2), REQUESTS)
@cases(8)
def test_generated_requests(server: tuple[str, Client], number: int, request: Request) -> None:
    kind, client = server
    sites = ["flask", "django", "odd"] if kind in WSGI else ["starlette", "fastapi", "django"]
    client.control("stop")
    bare = client.exchange(encoded(sites[number], request, "bare"))
    assert client.exchange(encoded(sites[number], request, "with")) == bare
    client.control("task")
    assert client.exchange(encoded(sites[number], request, "with")) == bare


def test_connections_that_are_kept(server: tuple[str, Client]) -> None:
    """Several requests on one: each answer has to say where it ends, or that it ends with the connection."""
    kind, client = server
    site = "flask" if kind in WSGI else "starlette"
    answers = []
    client.control("task")
    for side in ("bare", "with"):
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=LONGEST)
        got: list[Any] = []
        for path in ("/", "/stream/3", "/file", "/abort/404", "/items/1/x"):
            try:
                connection.request("GET", f"/{site}{path}", headers={"X-Side": side})
                answer = connection.getresponse()
            except (ConnectionError, http.client.HTTPException):
                # uWSGI's own HTTP does not say that it closes.
                got.append("closed")
                connection.close()
                continue
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() != "date"]
            got.append((answer.status, answer.version, headers, answer.will_close, answer.read()))
        connection.close()
        answers.append(got)
    client.control("stop")
    assert answers[1] == answers[0]


def test_clients_that_go_away(server: tuple[str, Client]) -> None:
    """A body without end, until its client has gone: the app hears of it in the same way."""
    _, client = server
    happened = []
    client.control("task")
    for side in ("bare", "with"):
        client.control("events")
        client.exchange(encoded("odd", ENDLESS, side), read=100_000)
        heard: list[str] = eventually(lambda: client.control("events"), "the app hears of it", interval=0.02)
        happened.append(heard)
    eventually(lambda: client.control("stop")[0] == 0, "all slots are given back", interval=0.02)
    assert happened[1] == happened[0]
