"""Runs each tool beside our sampling and without it, as ``python -m tests.style_apps.beside``; prints JSON.

For each tool, by its name: ``without`` us and ``beside`` us what it recorded, whether it was still on (``is_on``) and
what the requests answered; the stacks of our profile, outermost first; and which of the requests' functions are missing
from it. A tool that failed has its ``error`` only.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from swprof_mw import agent
from swprof_mw.application import Application
from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.reporter.reporter import Reporter
from swprof_mw.wsgi.entry import WSGIEntry
from tests import asgi_driver, wsgi_client
from tests.recorded import Recorded
from tests.style_apps import debuggers, profilers, tracers, watched
from tests.style_apps.tool import Tool

TOOLS: tuple[type[Tool], ...] = (*tracers.TOOLS, *debuggers.TOOLS, *profilers.TOOLS)
PATH = "/own"
#: So often the requests are made at the most, until a tool has seen enough.
_TIMES = 20
#: So often a tool is used at the most, until a profile shows all: on a busy machine, the sampler may have bad luck.
_ATTEMPTS = 3
#: Of one request, seconds: it may never end, if a worker was broken.
_LONGEST = 15

recorded = Recorded()


def drive(wsgi: Any, asgi: Any, tool: Tool, begin: Callable[[], object]) -> dict[str, Any]:
    """Make the requests under the eyes of the tool; ``begin`` first."""
    watched.kept.clear()
    answers = []
    tool.start()
    try:
        begin()
        for _ in range(_TIMES):
            on_thread = wsgi_client.ask(wsgi, PATH)
            in_task = asyncio.run(asyncio.wait_for(asgi_driver.acall(asgi, asgi_driver.http(PATH)), _LONGEST))
            answers = [on_thread.body.decode(), in_task.body.decode()]
            if tool.has_enough():
                break
        is_on = tool.is_on()
    finally:
        tool.stop()
    return {"recorded": tool.recorded(), "is_on": is_on, "answers": answers}


def measure(kind: type[Tool]) -> dict[str, Any]:
    """What a tool sees without us and beside us, and what we see beside it. Our thread begins under its eyes."""
    without = drive(watched.own_view, watched.own_app, kind(), lambda: None)
    settings: Any = {"service_name": "neighbours", "profile_max_cpu": 100}
    wsgi = WSGIEntry(Application(7000, settings), watched.own_view)
    asgi = SWProfilerMiddleware(watched.own_app, **settings)
    try:
        wsgi_client.ask(wsgi, "/first")
        beside = drive(wsgi, asgi, kind(), lambda: recorded.profile(PATH))
        stacks = [one.stack for one in recorded.snapshots]
    finally:
        agent.shut_down(timeout=2.0)
    missing = sorted(expected(kind) - functions(stacks))
    return {"without": without, "beside": beside, "stacks": stacks, "missing": missing}


def expected(kind: type[Tool]) -> set[str]:
    """The requests' functions that our profile is to show beside this tool."""
    found = {"own_view", "own_app", "own_compute", "own_pause", "own_pause_async"}
    return found if kind.hides_workers and sys.version_info < (3, 13) else {*found, "own_work"}


def functions(stacks: Iterable[tuple[str, ...]]) -> set[str]:
    """``module.py.name: 3`` is ``name``."""
    return {line.rpartition(":")[0].rpartition(".")[2] for stack in stacks for line in stack}


def result(kind: type[Tool]) -> dict[str, Any]:
    """What came of one tool."""
    try:
        for _ in range(_ATTEMPTS):
            found = measure(kind)
            if not found["missing"]:
                break
    except BaseException:
        return {"error": traceback.format_exc()}
    return found


def main() -> None:
    """Try all tools that this version of Python has, or those that are named."""
    Reporter.start = lambda self: None  # type: ignore[method-assign]
    os.environ["PYTHONBREAKPOINT"] = "0"
    wanted = sys.argv[1:] or [kind.name for kind in TOOLS]
    kinds = [kind for kind in TOOLS if kind.name in wanted and sys.version_info >= kind.since]
    print(json.dumps({kind.name: result(kind) for kind in kinds}))


if __name__ == "__main__":
    main()
