"""An app of `bench.apps`, the one that ``DRIVEN_APP`` names, with a wrapper outside of our middleware.

``/state`` and ``/census`` answer with what the process holds. ``/drive?endpoint=/own/sync&period=1&threshold=0`` puts a
task straight into each service, whose period may be shorter than any that a backend may ask for, in place of the one
there is; it goes on for good.
"""

import importlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs

from bench import census
from swprof_mw import agent
from swprof_mw.profiling.task import ProfileTask

_ENDLESS = 1_000_000

_numbers = itertools.count()
_troubles = census.Troubles().watch()


class Mark:
    """Each request holds one, in its environ or scope and in the frame below all others: who keeps that, keeps this."""


def _load(target: str) -> Any:
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


app = _load(os.environ["DRIVEN_APP"])


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI app."""
    answer = _answer(environ["PATH_INFO"], environ["QUERY_STRING"])
    if answer is None:
        mark = environ["bench.mark"] = Mark()
        body: Iterable[bytes] = app(environ, start_response)
        del mark
        return body
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


async def asgi(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """The ASGI app."""
    if scope["type"] != "http":
        await app(scope, receive, send)
        return
    answer = _answer(scope["path"], scope["query_string"].decode())
    if answer is None:
        mark = scope["bench.mark"] = Mark()
        await app(scope, receive, send)
        del mark
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def _answer(path: str, query: str) -> bytes | None:
    """The answer of the wrapper; None if the app is asked."""
    if path == "/state":
        return json.dumps(asdict(census.state())).encode()
    if path == "/census":
        return json.dumps(asdict(census.census(_troubles))).encode()
    if path == "/drive":
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        return json.dumps(drive(asked["endpoint"], int(asked["period"]), int(asked["threshold"]))).encode()
    return None


def drive(endpoint: str, period: int, threshold: int) -> int:
    """Run a task in each service of this process, in place of the one there is.

    Args:
        endpoint: of which requests are profiled.
        period: ms between two samples.
        threshold: ms that a request has to last first.

    Returns:
        How many services there are; 0 without an agent.
    """
    running = agent.current()
    services = list(running.services.values()) if running is not None else []
    for service in services:
        if service.tasks.current is not None:
            service.tasks.stop_current_profile_task(service.tasks.current)
        service.tasks.add_profile_task(_task(endpoint, period, threshold))
    return len(services)


def _task(endpoint: str, period: int, threshold: int) -> ProfileTask:
    now = time.time_ns() // 1_000_000
    number = next(_numbers)
    return ProfileTask(
        serial_number=f"driven-{number}",
        task_id=f"driven-{number}",
        endpoint_name=endpoint,
        duration=_ENDLESS,
        min_duration_threshold=threshold,
        dump_period=period,
        max_sampling_count=_ENDLESS,
        start_time=now,
        create_time=now,
    )
