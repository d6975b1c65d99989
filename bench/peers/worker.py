"""One peer's measurements, in a process of its own: ``python -m bench.peers.worker requests "official agent" flask …``

Prints what it finds, a line of JSON each time. Needs no packages but those of the variant.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from bench.peers import apps, variants

#: Requests before it counts.
WARMING = 1_000
#: Requests before a process's memory is looked at, and seconds that it then is idle.
SETTLED = 3_000
IDLE = 20.0
#: Seconds between the app's start and its first request.
_LISTENS = 1.0
#: Seconds between two questions for profile tasks, where no task is waited for: the default of those who ask.
QUERY_INTERVAL = 20
_PATIENCE = 30.0
#: A peer that has lost something is waited for no longer, s.
_LOST = 3.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Backend:
    """What the sink at this port says has come."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._file = self._socket.makefile("rb")

    def came(self, kind: str) -> int:
        """How much of that kind."""
        return self._ask("/", kind)

    def wait(self, kind: str, count: int, seconds: float) -> bool:
        """Whether so much of that kind comes within that time. Asked for once: to look again and again costs too."""
        return self._ask(f"/{kind}/{count}/{seconds}", kind) >= count

    def _ask(self, path: str, kind: str) -> int:
        # Over a bare socket: peers trace the usual clients.
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: sink\r\n\r\n".encode())
        length = 0
        while (line := self._file.readline().strip()) != b"":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return int(json.loads(self._file.read(length))[kind])


class Requests:
    """Requests to an app with one peer in it.

    Attributes:
        backend: what has come there.
        made: so many requests so far.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.backend = Backend(options.http)
        self.made = 0
        self._lost = 0
        shape = apps.Shape(options.routes, options.chunks, options.at_once)
        sinks = variants.Sinks(options.grpc, options.http, 1 if options.task else QUERY_INTERVAL)
        self._peer = variants.put_in(options.variant, options.framework, sinks, shape)
        self._run = self._peer.requests(options.framework, shape)
        self._reports = options.variant not in (variants.BARE, variants.PROFILED_ONLY)

    def make(self, count: int) -> list[int]:
        """So many, and all is sent that they leave; the times that they took, ns."""
        times: list[int] = []
        while len(times) < count:
            some = self._run(min(self._peer.chunk, count - len(times)))
            times += some
            self.made += len(some)
            self._peer.flush()
            if self._reports:
                self._wait()
        return times

    def _wait(self) -> None:
        """Until the backend has heard of all that are not lost."""
        if not self.backend.wait("requests", self.made - self._lost, _LOST):
            self._lost = self.made - self.backend.came("requests")


def requests(options: argparse.Namespace) -> Iterator[dict[str, float]]:
    """Nothing once it is ready; then for each line of its standard input, a number, what so many requests took.

    ``cpu``: processor time of the process, sending included; ``median`` and ``p99`` of what a request took; µs.
    ``reported``: the share of all requests that the backend has heard of.
    """
    made = Requests(options)
    made.make(10)
    if options.variant in (variants.OURS, variants.PROFILED_ONLY):
        # What is connected by now imports nothing while it is measured.
        assert made.backend.wait("asked", 1, _PATIENCE), "no task was asked for"
    if options.task:
        assert made.backend.wait("asked", 2, _PATIENCE), "no task was asked for"
        time.sleep(0.5)
        if options.variant == variants.OURS:
            from swprof_mw import stats

            assert any(stats().tasks.values()), "no task is running"
    made.make(variants.FEWER.get(options.variant, WARMING))
    yield {}
    for line in sys.stdin:
        gc.collect()
        began = time.process_time_ns()
        times = made.make(int(line))
        used = time.process_time_ns() - began
        times.sort()
        yield {
            "cpu": used / len(times) / 1e3,
            "median": statistics.median(times) / 1e3,
            "p99": times[int(len(times) * 0.99)] / 1e3,
            "reported": made.backend.came("requests") / made.made,
        }


def process(options: argparse.Namespace) -> Iterator[dict[str, float]]:
    """Once: ``import`` and ``grpc``: see ``_imported``.

    ``first``: the first request, ms. ``memory``, MB, and ``threads``: after some thousands of them, all reported.
    ``reported``: the share of them that the backend has heard of. ``idle``: the share of a processor that is used
    while nothing is asked for.
    """
    imported = _imported(options.variant, options.framework)
    for module in _FRAMEWORKS[options.framework]:
        importlib.import_module(module)
    made = Requests(options)
    time.sleep(_LISTENS)
    [first] = made.make(1)
    made.make(SETTLED)
    reported = made.backend.came("requests") / made.made
    gc.collect()
    with open("/proc/self/statm") as statm:
        memory = int(statm.read().split()[1]) * _PAGE
    before = time.process_time_ns()
    time.sleep(options.idle)
    yield {
        **imported,
        "first": first / 1e6,
        "memory": memory / 1e6,
        "threads": len(os.listdir("/proc/self/task")),
        "reported": reported,
        "idle": (time.process_time_ns() - before) / 1e9 / options.idle,
    }


#: All of a framework that the app needs: what is imported with a peer after it is the peer's.
_FRAMEWORKS = {
    "flask": ("flask",),
    "django": (
        "django",
        "django.conf",
        "django.http",
        "django.urls",
        "django.core.wsgi",
        "django.core.handlers.wsgi",
    ),
    "starlette": ("starlette.applications", "starlette.responses", "starlette.routing"),
    "fastapi": ("fastapi", "fastapi.responses"),
}

_IMPORT = """
import importlib, json, sys, time
framework, peer = map(json.loads, sys.argv[1:])
for module in framework:
    importlib.import_module(module)
began = time.process_time()
for module in peer:
    importlib.import_module(module)
print(json.dumps({"import": (time.process_time() - began) * 1e3, "grpc": "grpc" in sys.modules}))
"""


def _imported(variant: str, framework: str) -> dict[str, float]:
    """``import``: of what is needed beside the framework, ms of processor time; ``grpc``: whether it is imported then.

    In an interpreter of its own: what this worker has imported for itself would not be counted.
    """
    names = (_FRAMEWORKS[framework], variants.modules(variant, framework))
    command = [sys.executable, "-c", _IMPORT, *map(json.dumps, names)]
    found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def main() -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question", choices=("requests", "process"))
    parser.add_argument("variant")
    parser.add_argument("framework", choices=tuple(apps.ENDPOINTS))
    parser.add_argument("grpc", type=int)
    parser.add_argument("http", type=int)
    parser.add_argument("--idle", type=float, default=IDLE, help="seconds without a request")
    parser.add_argument("--task", action="store_true", help="wait for a profile task")
    parser.add_argument("--routes", type=int, default=0)
    parser.add_argument("--chunks", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=1)
    options = parser.parse_args()
    for found in {"requests": requests, "process": process}[options.question](options):
        print(json.dumps(found), flush=True)
    os._exit(0)  # a peer's threads may hold up the interpreter's end


if __name__ == "__main__":
    main()
