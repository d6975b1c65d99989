"""Where the package does not run: one line says so, and all requests pass. Most of these runtimes are simulated."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import flask
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import swprof_mw
from swprof_mw import agent, runtime
from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.flask import SWProfiler
from tests import asgi_driver

ROOT = Path(__file__).resolve().parent.parent
Patch = pytest.MonkeyPatch


def pypy(monkeypatch: Patch) -> None:
    monkeypatch.setattr(sys.implementation, "name", "pypy")


def free_threaded_build(monkeypatch: Patch) -> None:
    monkeypatch.setattr(sys, "abiflags", "t")


def no_gil(monkeypatch: Patch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)


def subinterpreter(monkeypatch: Patch) -> None:
    interpreters = SimpleNamespace(get_current=lambda: (2, 5), get_main=lambda: (0, 1))
    monkeypatch.setitem(sys.modules, "_interpreters", interpreters)


def older_subinterpreter(monkeypatch: Patch) -> None:
    monkeypatch.setitem(sys.modules, "_interpreters", None)
    monkeypatch.setitem(sys.modules, "_xxsubinterpreters", SimpleNamespace(get_current=lambda: 2, get_main=lambda: 0))


def eventlet_patched(monkeypatch: Patch) -> None:
    patcher = SimpleNamespace(is_monkey_patched=lambda module: module == "thread")
    monkeypatch.setitem(sys.modules, "eventlet.patcher", patcher)


def eventlet_hub(monkeypatch: Patch) -> None:
    local = threading.local()
    local.hub = object()
    monkeypatch.setitem(sys.modules, "eventlet.hubs", SimpleNamespace(_threadlocal=local))


UNSUPPORTED: list[tuple[Callable[[Patch], None], str]] = [
    (pypy, "it runs on CPython only, and this is pypy"),
    (free_threaded_build, "it does not run on free-threaded builds of Python"),
    (no_gil, "it does not run on free-threaded builds of Python"),
    (
        subinterpreter,
        "it runs in the main interpreter only, and this is another (mod_wsgi: WSGIApplicationGroup %{GLOBAL})",
    ),
    (
        older_subinterpreter,
        "it runs in the main interpreter only, and this is another (mod_wsgi: WSGIApplicationGroup %{GLOBAL})",
    ),
    (eventlet_patched, "it does not run under eventlet"),
    (eventlet_hub, "it does not run under eventlet"),
]


@pytest.fixture(autouse=True)
def _untold(monkeypatch: Patch) -> None:
    monkeypatch.setattr(runtime, "reason", "")


def flask_app(name: str) -> flask.Flask:
    """An app that is instrumented, and says who answers."""
    app = flask.Flask(name)
    app.route("/")(lambda: name)
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]
    return app


async def here(_: object) -> PlainTextResponse:
    """A view."""
    return PlainTextResponse("here")


@pytest.mark.parametrize(("simulate", "why"), UNSUPPORTED, ids=lambda value: getattr(value, "__name__", ""))
def test_one_line_says_so_and_requests_pass(
    simulate: Callable[[Patch], None], why: str, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    shop, bank = flask_app("shop"), flask_app("bank")
    site = SWProfilerMiddleware(Starlette(routes=[Route("/", here)]))
    threads = set(threading.enumerate())
    with monkeypatch.context() as simulated:
        simulate(simulated)
        for _ in range(3):
            assert (shop.test_client().get("/").text, bank.test_client().get("/").text) == ("shop", "bank")
            assert asgi_driver.call(site, asgi_driver.http("/")).body == b"here"
        assert swprof_mw.stats() == swprof_mw.Stats(off=why)
        swprof_mw.set_endpoint("/any")
    assert [(record.levelno, record.getMessage()) for record in caplog.records if record.name == "swprof_mw"] == [
        (logging.ERROR, f"swprof_mw is off: {why}")
    ]
    assert agent.current() is None
    assert set(threading.enumerate()) <= threads  # those of an earlier test may have ended meanwhile


def test_nothing_is_said_where_it_runs(caplog: pytest.LogCaptureFixture) -> None:
    assert runtime.why_not() == ""
    assert runtime.is_supported()
    assert caplog.messages == []
    assert swprof_mw.stats().off == ""


def test_nothing_is_said_where_eventlet_is_only_imported(monkeypatch: Patch) -> None:
    patcher = SimpleNamespace(is_monkey_patched=lambda module: module == "os")
    monkeypatch.setitem(sys.modules, "eventlet.patcher", patcher)
    monkeypatch.setitem(sys.modules, "eventlet.hubs", SimpleNamespace(_threadlocal=threading.local()))
    assert runtime.why_not() == ""


def test_an_interpreter_that_cannot_tell_is_the_main_one(monkeypatch: Patch) -> None:
    monkeypatch.setitem(sys.modules, "_interpreters", None)
    monkeypatch.setitem(sys.modules, "_xxsubinterpreters", None)
    assert runtime.why_not() == ""


#: Asks an app in another interpreter of the process, and tells what it sees there.
SUBINTERPRETER = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

code = '''
import sys
sys.path.insert(0, {root!r})
import logging
logging.basicConfig(stream=sys.stdout, format="%(message)s")
from swprof_mw.application import Application
from swprof_mw.wsgi.entry import WSGIEntry

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"here"]

entry = WSGIEntry(Application(7001, {{"service_name": "shop"}}), app)
for _ in range(3):
    print(entry(dict(REQUEST_METHOD="GET", PATH_INFO="/"), print))
print("swprof_mw.agent" in sys.modules, "grpc" in sys.modules, flush=True)
'''
failed = interpreters.run_string(interpreters.create(), code)
assert not failed, failed
"""


def test_a_real_subinterpreter() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SUBINTERPRETER.format(root=str(ROOT))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    why = {simulate.__name__: why for simulate, why in UNSUPPORTED}["subinterpreter"]
    answers = ["200 OK []", "[b'here']"] * 3
    assert done.stdout.splitlines() == [f"swprof_mw is off: {why}", *answers, "False False"], done.stderr
