"""What sampling costs an app: ``python -m bench.sampled_load``

Five requests at once, at a depth of 60 frames, on threads (Flask) and in tasks (Starlette); they compute, or they wait.
By turns nobody looks, and all five are sampled at 10 ms and their snapshots sent. Printed are the processor time that
this takes, as a share of one core, and what is left of the throughput. Exit status 1 if a promise is not kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.environments import environment
from bench.partner import ROOT
from bench.peers.running import PYTHON, sink, spread
from swprof_mw import agent, stats
from tests import asgi_driver, wsgi_client
from tests.faulty import task_command
from tests.waiting import eventually

AT_ONCE = 5
DEPTH = 60
#: Of a window, seconds, and how many there are of each kind.
LASTS = 3.0
WINDOWS = 4
#: Shares of a core, and of the throughput.
MOST_CPU = 0.10
LEAST_LEFT = 0.93
KINDS = ("threads", "tasks")
_WAIT = 0.02


class Work:
    """What requests do until they are told to end.

    Attributes:
        pieces: done so far.
    """

    def __init__(self, computes: bool) -> None:
        self.pieces = 0
        self.over = False
        self._computes = computes

    def on_thread(self, depth: int = DEPTH) -> str:
        """Go so deep, and work there."""
        if depth > 1:
            return self.on_thread(depth - 1)
        while not self.over:
            self._piece()
            if not self._computes:
                time.sleep(_WAIT)
        return "done"

    async def in_task(self, depth: int = DEPTH) -> str:
        """The same in coroutines."""
        if depth > 1:
            return await self.in_task(depth - 1)
        while not self.over:
            self._piece()
            await asyncio.sleep(0 if self._computes else _WAIT)
        return "done"

    def _piece(self) -> None:
        self.pieces += 1
        if self._computes:
            sum(number * number for number in range(10_000))


def on_threads(work: Work) -> Callable[[], None]:
    """Makes five requests of a Flask app side by side, and returns when they are over."""
    import flask

    from swprof_mw.flask import SWProfiler

    app = flask.Flask("bench")
    app.add_url_rule("/work", "work", work.on_thread)
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]

    def run() -> None:
        threads = [threading.Thread(target=wsgi_client.ask, args=(app, "/work")) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return run


def in_tasks(work: Work) -> Callable[[], None]:
    """The same of a Starlette app, on one event loop."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from swprof_mw.asgi import SWProfilerMiddleware

    async def view(_: Any) -> PlainTextResponse:
        return PlainTextResponse(await work.in_task())

    app = SWProfilerMiddleware(Starlette(routes=[Route("/work", view)]))

    async def all_at_once() -> None:
        exchanges = [asgi_driver.Exchanged() for _ in range(AT_ONCE)]
        scope = asgi_driver.http("/work")
        await asyncio.gather(*(app(dict(scope), each.receive, each.send) for each in exchanges))

    return lambda: asyncio.run(all_at_once())


def window(work: Work, run: Callable[[], None], number: int, is_sampled: bool) -> dict[str, float]:
    """What a process of five requests uses and does in a second: ``cpu`` in seconds, and ``pieces``."""
    running = agent.current()
    assert running is not None
    [service] = running.services.values()
    if is_sampled:
        service.receive([task_command("/work", str(number))], first_poll=False)
        service.process_tasks()
    work.over = False
    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.5)
    used, pieces, sent, began = (
        time.process_time(),
        work.pieces,
        sum(getattr(stats().snapshots, x) for x in ("sent", "queued", "dropped")),
        time.monotonic(),
    )
    time.sleep(LASTS)
    took = time.monotonic() - began
    found = {
        "cpu": (time.process_time() - used) / took,
        "pieces": (work.pieces - pieces) / took,
        "snapshots": (sum(getattr(stats().snapshots, x) for x in ("sent", "queued", "dropped")) - sent) / took,
        "stretch": stats().period_stretch,
        "sampled": stats().slots_taken,
    }
    work.over = True
    thread.join()
    if service.tasks.current is not None:
        service.tasks.stop_current_profile_task(service.tasks.current)
    return found


def measure(kind: str, computes: bool) -> list[list[dict[str, float]]]:
    """Windows by turns: of each pair one in which nobody looks, and one with all sampled."""
    work = Work(computes)
    run = {"threads": on_threads, "tasks": in_tasks}[kind](work)
    work.over = True
    run()  # it starts the agent
    eventually(lambda: stats().segments.sent, "something is reported")
    return [
        [window(work, run, 2 * number + is_sampled, bool(is_sampled)) for is_sampled in (0, 1)]
        for number in range(WINDOWS)
    ]


def measured(kind: str, computes: bool, port: int) -> list[list[dict[str, float]]]:
    """The same in a process of its own, that reports to this port."""
    command = [
        environment(PYTHON),
        "-m",
        "bench.sampled_load",
        "--measure",
        kind,
        *(("--computes",) if computes else ()),
    ]
    settings = {"SW_AGENT_NAME": "bench", "SW_AGENT_COLLECTOR_BACKEND_SERVICES": f"127.0.0.1:{port}"}
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pairs: list[list[dict[str, float]]] = json.loads(done.stdout.splitlines()[-1])
    return pairs


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if the promises are kept, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", choices=KINDS, help="in this process")
    parser.add_argument("--computes", action="store_true")
    options = parser.parse_args(arguments)
    if options.measure:
        print(json.dumps(measure(options.measure, options.computes)), flush=True)
        return 0
    broken = []
    print(f"{'':20}{'more cpu, % of a core':>28}{'throughput left, %':>28}{'snapshots a second':>20}{'stretch':>9}")
    with sink() as backend:
        for kind in KINDS:
            for computes in (False, True):
                pairs = measured(kind, computes, backend.ports[0])
                assert all(sampled["sampled"] == AT_ONCE for _, sampled in pairs), "not all are sampled"
                cpu = [100 * (sampled["cpu"] - alone["cpu"]) for alone, sampled in pairs]
                left = [100 * sampled["pieces"] / alone["pieces"] for alone, sampled in pairs]
                snapshots = statistics.median(sampled["snapshots"] for _, sampled in pairs)
                stretch = max(sampled["stretch"] for _, sampled in pairs)
                name = f"{kind}, {'computing' if computes else 'waiting'}"
                print(f"{name:20}{spread(cpu):>28}{spread(left):>28}{snapshots:20.0f}{stretch:9.0f}", flush=True)
                # One that computes leaves nothing of the core that it uses: there the throughput tells.
                if not computes and statistics.median(cpu) > 100 * MOST_CPU:
                    broken.append(f"{name}: {statistics.median(cpu):.1f} % of a core")
                if statistics.median(left) < 100 * LEAST_LEFT:
                    broken.append(f"{name}: {statistics.median(left):.1f} % of its throughput left")
    print(*broken, sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
