"""Debuggers, coverage, tracers and other profilers in the same process: they see what they see without us, so do we.

Most tools run in a process of each version of Python, `tests.style_apps.beside`, and watch the same requests with and
without us.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures.thread import _WorkItem
from pathlib import Path
from types import FrameType
from typing import Any

import anyio.to_thread
import gevent
import greenlet
import pytest
from anyio._backends._asyncio import WorkerThread
from asgiref.sync import SyncToAsync, sync_to_async

from bench.environments import PYTHONS, available, interpreter
from swprof_mw.application import Application
from swprof_mw.profiling.clocks import ThreadClocks
from swprof_mw.profiling.locate.registry import Registry
from swprof_mw.profiling.locate.workers import Workers
from swprof_mw.wsgi.entry import WSGIEntry
from tests.environments import environment
from tests.recorded import Recorded
from tests.sampled import work
from tests.style_apps.beside import TOOLS
from tests.style_apps.tool import Tool
from tests.wsgi_client import App, ask

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ("coverage>=7.9", "pyinstrument>=5", "yappi>=1.6")
#: In CI a missing one is a failure.
VERSIONS = PYTHONS if os.environ.get("CI") else available()
#: What CI has no time for: the tools on the other versions.
RELEASE = pytest.mark.release


@functools.cache
def run(version: str) -> dict[str, Any]:
    """What came of all tools on one version of Python."""
    python = environment("neighbours", interpreter(version), *REQUIREMENTS)
    command = [str(python), "-m", "tests.style_apps.beside"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


tools = pytest.mark.parametrize(
    ("version", "tool"),
    [
        pytest.param(version, tool, id=f"{version}-{tool.name}", marks=() if version == VERSIONS[-1] else RELEASE)
        for version in VERSIONS
        for tool in TOOLS
        if tuple(map(int, version.split("."))) >= tool.since
    ],
)


@tools
def test_a_tool_sees_beside_us_what_it_sees_without(version: str, tool: type[Tool]) -> None:
    result = run(version)[tool.name]
    assert "error" not in result, result["error"]
    without, beside = result["without"], result["beside"]
    assert beside["recorded"] == without["recorded"]
    assert beside["answers"] == without["answers"]
    assert (without["is_on"], beside["is_on"]) == (True, True)


@tools
def test_our_profile_shows_the_requests_own_functions_beside_it(version: str, tool: type[Tool]) -> None:
    result = run(version)[tool.name]
    assert result["missing"] == []
    # A slow tool makes the framework's part of the request longer, too: of some thirty samples that may be two.
    others = [stack for stack in result["stacks"] if not any(".own_" in line for line in stack)]
    assert len(others) <= max(2, 0.05 * len(result["stacks"])), others


async def in_executor(function: Callable[[], int]) -> int:
    """On a thread of asyncio's own pool."""
    return await asyncio.get_running_loop().run_in_executor(None, function)


ENTRIES = {
    in_executor: _WorkItem.run,
    anyio.to_thread.run_sync: WorkerThread.run,
    sync_to_async: SyncToAsync.thread_handler,
}


@pytest.mark.parametrize("call", ENTRIES, ids=lambda call: call.__qualname__)
def test_a_slow_profiler_leaves_workers_their_variables(call: Any) -> None:
    """Up to Python 3.12 the interpreter writes them back, after each event, out of the dict that we read."""
    code = ENTRIES[call].__code__
    stop = threading.Event()

    def slow(frame: FrameType, event: str, arg: object) -> None:
        if frame.f_code is code:
            time.sleep(0.005)

    def read() -> None:
        while not stop.is_set():
            workers = Workers(ThreadClocks(), (), Registry())
            workers.refresh()
            workers.read(sys._current_frames())
            time.sleep(0.001)

    async def run() -> int:
        pending = call(lambda: 7)
        result: int = await asyncio.wait_for(pending() if callable(pending) else pending, 10)
        return result

    reader = threading.Thread(target=read)
    reader.start()
    threading.setprofile(slow)
    try:
        assert asyncio.run(run()) == 7
    finally:
        threading.setprofile(None)
        stop.set()
        reader.join()


# greenlet's tracer, of which there is one a thread.


class GreenletTracer:
    """Writes down each switch, and passes it on to the tracer that it found."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self._found: Callable[[str, Any], object] | None = None

    def start(self) -> None:
        """Trace the thread that calls."""
        self._found = greenlet.settrace(self._trace)

    def stop(self) -> None:
        """Put back what was there."""
        greenlet.settrace(self._found)

    def _trace(self, event: str, arguments: Any) -> None:
        self.events.append(f"{event} {' '.join(map(name_of, arguments))}")
        if self._found is not None:
            self._found(event, arguments)


def name_of(one: Any) -> str:
    """The function that a greenlet runs, or what it is."""
    function = getattr(one, "_run", None)
    return str(getattr(function, "__name__", type(one).__name__))


def own_child() -> None:
    """Works and waits in turn."""
    for _ in range(8):
        gevent.sleep(0.005)
        work(0.005)


def own_view(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    """Spawns what does its work; says when that begins and when it is over."""
    environ["says"]("begin")
    gevent.spawn(own_child).join()
    environ["says"]("end")
    gevent.sleep(0.005)
    start_response("200 OK", [])
    return [b""]


def traced(app: App, on: str = "", off: str = "") -> list[str]:
    """What a tracer sees of a request on a greenlet of its own, if it is started and stopped at these moments."""
    tracer = GreenletTracer()

    def says(moment: str) -> None:
        if moment == on:
            tracer.start()
        if moment == off:
            tracer.stop()

    def request() -> None:
        ask(app, "/own", says=says)

    says("before")
    gevent.spawn(request).get()
    says("after")
    return tracer.events


@pytest.fixture
def _hub() -> Iterator[None]:
    yield
    gevent.get_hub().destroy()


#: When a tracer comes, and when it goes. One that was there before us takes ours off with its own.
BEFORE_US = [("before", "begin"), ("before", "end")]
TIMES = [("before", "after"), ("begin", "end"), ("begin", "after"), *BEFORE_US]


@pytest.mark.usefixtures("_hub")
@pytest.mark.parametrize(("on", "off"), TIMES)
def test_another_tracer_of_greenlets_may_come_and_go(on: str, off: str, recorded: Recorded) -> None:
    alone = traced(own_view, on, off)
    app = WSGIEntry(Application(7000, {"service_name": "shop"}), own_view)
    traced(app)
    recorded.profile("/own")
    for _ in range(2):
        assert traced(app, on, off) == alone
        gevent.sleep(0)
        assert greenlet.gettrace() is None
    traced(app)
    found: dict[str, set[bool]] = {}
    for one in recorded.snapshots:
        found.setdefault(one.segment_id, set()).add(any("own_child" in line for line in one.stack))
    first, second, last = found.values()
    assert True in last, "without another tracer"
    assert (on, off) in BEFORE_US or True in first & second, "beside it"
