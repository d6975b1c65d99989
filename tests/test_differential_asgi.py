"""Generated ASGI calls, each made twice: without us, and with. Server and app must not see a difference."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

from swprof_mw.application import Application
from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.asgi.head import Head
from tests.generated.amount import cases
from tests.generated.asgi_cases import CASES, Case
from tests.generated.asgi_world import World
from tests.generated.observed import nothing_is_left, run_task, stop_task
from tests.recorded import Recorded


@pytest.fixture
def _loop() -> Iterator[None]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def observe(case: Case, wrapped: bool) -> list[tuple[Any, ...]]:
    """What is seen of a case, with or without us."""
    world = World(case)
    app: Any = world.app
    for _ in range(case.layers if wrapped else 0):
        app = SWProfilerMiddleware(app, service_name="shop")
    contextvars.copy_context().run(world.serve, app)
    return world.log.events


def full_path(case: Case) -> str:
    """The name that a task has to ask for."""
    try:
        return Head(World(case).scope).full_path[:150] or "/"
    except (KeyError, TypeError, ValueError, AttributeError):
        return "/"


@pytest.mark.usefixtures("_loop")
@given(CASES)
@cases(300)
def test_no_difference(recorded: Recorded, case: Case) -> None:
    Application(7000, {"service_name": "shop"}).attach()
    stop_task(recorded)
    bare = observe(case, wrapped=False)
    assert observe(case, wrapped=True) == bare
    nothing_is_left(recorded)
    run_task(recorded, full_path(case))
    assert observe(case, wrapped=True) == bare
    nothing_is_left(recorded)
