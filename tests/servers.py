"""Real WSGI and ASGI servers for tests, as processes on free ports of 127.0.0.1: ``start("waitress", "shop:app")``."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.environments import environment
from tests.oap.server import Child, StartError, free_ports
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent

START_SECONDS = 20
ANSWER_SECONDS = 5
ATTEMPTS = 3

_GUNICORN = "gunicorn --bind 127.0.0.1:{port} --workers {workers}"
_UVICORN = "uvicorn --host 127.0.0.1 --port {port} --workers {workers}"
COMMANDS = {
    "waitress": "waitress --listen=127.0.0.1:{port} --threads={threads}",
    "gunicorn-sync": f"{_GUNICORN} --worker-class sync",
    "gunicorn-gthread": f"{_GUNICORN} --worker-class gthread --threads {{threads}}",
    "gunicorn-gevent": f"{_GUNICORN} --worker-class gevent",
    "gunicorn-uvicorn": f"{_GUNICORN} --worker-class uvicorn.workers.UvicornWorker",
    "gunicorn-asgi": f"{_GUNICORN} --worker-class asgi",
    "uwsgi": "tests.process_apps.uwsgi --http-socket 127.0.0.1:{port} --processes {workers} --module {target}",
    "uvicorn": f"{_UVICORN} --loop asyncio",
    "uvicorn-reload": "uvicorn --host 127.0.0.1 --port {port} --reload",
    "uvicorn-uvloop": f"{_UVICORN} --loop uvloop",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} --workers {workers}",
    "runserver": "django runserver 127.0.0.1:{port} --settings {target}",
}


def interpreter(server: str) -> str:
    """That of a server: uWSGI has an environment of its own, with what the apps and we need."""
    if server != "uwsgi":
        return sys.executable
    return str(environment("uwsgi", sys.executable, "uwsgi==2.0.31", "flask", "grpcio>=1.60", "protobuf>=4.25,<8"))


class Server:
    """A server that answers, until `stop`; a context manager. Made by `start`."""

    def __init__(self, child: Child, port: int, scratch: tempfile.TemporaryDirectory[str]) -> None:
        self.child = child
        self.port = port
        self._scratch = scratch

    @property
    def url(self) -> str:
        """Its address without a path: ``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        """Everything it has written so far; also after `stop`."""
        return self.child.output()

    def stop(self) -> str:
        """SIGTERM, and after 10 s SIGKILL; returns all of its output. May be called twice."""
        try:
            return self.child.stop()
        finally:
            self._scratch.cleanup()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(
    kind: str,
    target: str,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    *,
    path: str | None = "/",
    threads: int = 4,
    workers: int = 1,
    options: tuple[str, ...] = (),
    python: str | Path = sys.executable,
) -> Server:
    """Start a server and return once it answers.

    Args:
        kind: a key of ``COMMANDS``.
        target: the app, as ``module:name``; for ``runserver`` the module of its settings.
        env: added to this process's environment.
        cwd: the directory it runs in and imports ``target`` from.
        path: what is asked to see whether it answers, any status will do; None only connects and sends no request.
        threads: of each worker, for the kinds that have a choice.
        workers: processes, for the kinds that have a choice.
        options: more arguments for the server's own command line; none that silence the line with its address.
        python: the interpreter that runs it.

    Raises:
        StartError: it has ended, or did not answer within 20 s; with the tail of its output.
        ValueError: no such kind.
    """
    if kind not in COMMANDS:
        raise ValueError(f"no server is called {kind!r}; there are {', '.join(COMMANDS)}")
    for _ in range(ATTEMPTS):
        [port] = free_ports(0)
        words = COMMANDS[kind].format(port=port, threads=threads, workers=workers, target=target).split()
        last = () if target in words else (target,)
        server = _launch([str(python), "-m", *words, *options, *last], env, cwd, port)
        if _ready_or_stopped(server, path):
            return server
        if not _port_taken(server.output()):
            break
    raise StartError(f"{kind} did not start {target} on port {port}:\n{server.child.tail()}")


def _launch(command: list[str], env: Mapping[str, str] | None, cwd: str | Path | None, port: int) -> Server:
    scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    # gunicorn puts its control socket there, under one name for all gunicorns of a person.
    own = {"PYTHONUNBUFFERED": "1", "XDG_RUNTIME_DIR": scratch.name}
    try:
        return Server(Child(command, {**os.environ, **own, **(env or {})}, cwd), port, scratch)
    except BaseException:
        scratch.cleanup()
        raise


def _ready_or_stopped(server: Server, path: str | None) -> bool:
    ready = False
    try:
        ready = _ready(server, path)
    finally:
        if not ready:
            server.stop()
    return ready


def _ready(server: Server, path: str | None) -> bool:
    """Wait until it listens and answers. False: it died, its port is another's, or it took too long."""
    deadline = time.monotonic() + START_SECONDS
    while server.child.alive() and time.monotonic() < deadline:
        output = server.output()
        if _port_taken(output):
            return False
        # Each kind announces its address when it listens; before that an answer would be a stranger's.
        if f"127.0.0.1:{server.port}" in output and _answers(server.port, path):
            return True
        time.sleep(0.05)
    return False


def _port_taken(output: str) -> bool:
    # waitress, uvicorn, hypercorn: "address already in use"; gunicorn, which goes on trying: "Connection in use".
    return "already in use" in output or "Connection in use" in output


def _answers(port: int, path: str | None) -> bool:
    if path is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        asked.request("GET", path)
        asked.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()
    return True


@contextlib.contextmanager
def collector() -> Iterator[tuple[str, str]]:
    """The embedded collector in a process of its own: its agents' address, and the one of its queries."""
    command = [sys.executable, "-m", "swprof_mw", "collector", "--grpc-port", "0", "--http-port", "0"]
    child = Child(command, {**os.environ, "PYTHONUNBUFFERED": "1"}, ROOT)
    try:
        found = eventually(lambda: re.search(r"agents +(\S+:\d+)\nGraphQL +(\S+)", child.output()), "a collector")
        assert found, child.tail()
        yield found[1], found[2]
    finally:
        child.stop()
