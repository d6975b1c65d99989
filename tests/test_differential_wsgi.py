"""Generated WSGI requests, each served twice: without us, and with. Server and app must not see a difference."""

from __future__ import annotations

import contextlib
import contextvars
import gc
import logging
import sys
import weakref
from typing import Any

import pytest
from hypothesis import given

from swprof_mw.application import Application
from swprof_mw.wsgi.entry import WSGIEntry
from tests.generated.amount import cases
from tests.generated.observed import Quit, nothing_is_left, run_task, stop_task
from tests.generated.wsgi_cases import CASES, Case
from tests.generated.wsgi_world import World
from tests.recorded import Recorded
from tests.wsgi_client import make_environ


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """A line of the log on a failure, as of an exception that cannot be told, is kept here with the app's frames."""
    caplog.set_level(logging.CRITICAL)


def application() -> Application:
    """One that has an agent."""
    made = Application(1, {"service_name": "shop"})
    made.attach()
    return made


def observe(case: Case, traced: Application | None) -> list[tuple[Any, ...]]:
    """What is seen of a case, with or without us."""
    world = World(case)
    app: Any = world.app
    for _ in range(case.layers if traced is not None else 0):
        app = WSGIEntry(traced, app)  # type: ignore[arg-type]
    contextvars.copy_context().run(world.serve, app)
    return world.log.events


def full_path(case: Case) -> str:
    """The name that a task has to ask for."""
    path = case.changes.get("SCRIPT_NAME", ""), case.changes.get("PATH_INFO", "")
    text = "".join(part for part in path if isinstance(part, str)) or "/"
    return text if text.isascii() else text.encode("latin-1", "replace").decode("utf-8", "replace")


@given(CASES)
@cases(300)
def test_no_difference(recorded: Recorded, case: Case) -> None:
    traced = application()
    stop_task(recorded)
    bare = observe(case, None)
    assert observe(case, traced) == bare
    nothing_is_left(recorded)
    run_task(recorded, full_path(case)[:150] or "/")
    # A variable of a function that returns just when it is looked at dies a moment later: that is no difference.
    seen = (observe(case, traced) for _ in range(3 if case.notices_its_end else 1))
    assert any(each == bare for each in seen)
    nothing_is_left(recorded)


def test_an_exception_that_the_server_raises_again_holds_nothing(recorded: Recorded) -> None:
    seen: list[weakref.ref[BaseException]] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            raise Quit("too late")
        except Quit as error:
            seen.append(weakref.ref(error))
            start_response("500 Oops", [], sys.exc_info())
        return []

    def start_response(status: str, headers: object, exc_info: Any = None, /) -> Any:
        try:
            raise exc_info[1]
        finally:
            del exc_info

    gc.collect()
    gc.disable()
    try:
        for each in (app, WSGIEntry(application(), app)):
            with contextlib.suppress(Quit):
                each(make_environ(), start_response)
        assert [ref() for ref in seen] == [None, None]
    finally:
        gc.enable()
