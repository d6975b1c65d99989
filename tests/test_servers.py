"""What servers need of us beyond WSGI and ASGI, with doubles of them; ``test_processes.py`` has the real ones."""

from __future__ import annotations

import asyncio
import logging
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import swprof_mw
from swprof_mw import agent, runtime, servers
from swprof_mw.application import Application
from tests.recorded import Recorded


def uwsgi(monkeypatch: pytest.MonkeyPatch, options: dict[str, object], worker: int = 1, mule: int = 0) -> None:
    """This process is one of uWSGI's, started with these options."""
    named = {name.replace("_", "-"): value for name, value in options.items()}
    module = SimpleNamespace(opt=named, worker_id=lambda: worker, mule_id=lambda: mule, i_am_the_spooler=lambda: None)
    monkeypatch.setitem(sys.modules, "uwsgi", module)


@pytest.mark.parametrize(
    ("options", "run"),
    [
        ({}, False),
        ({"processes": b"2"}, False),
        ({"enable_threads": True}, True),
        ({"enable_threads": b"true"}, True),
        ({"enable_threads": b"false"}, False),
        ({"threads": b"2"}, True),
        ({"gevent": b"10"}, True),
        ({"py_autoreload": b"1"}, True),
    ],
)
def test_under_uwsgi_threads_run_if_an_option_says_so(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object], run: bool
) -> None:
    uwsgi(monkeypatch, options)
    assert servers.threads_run() == run


def test_elsewhere_threads_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert servers.threads_run()
    monkeypatch.setitem(sys.modules, "uwsgi", ModuleType("uwsgi"))  # of that name, but not the server's own
    assert servers.threads_run()
    assert not servers.is_loading()


def test_where_no_threads_run_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    uwsgi(monkeypatch, {})
    monkeypatch.setattr(runtime, "reason", "")
    application = Application(7001, {"service_name": "shop"})
    for _ in range(3):
        assert application.begin("GET", "/") is None
    assert swprof_mw.stats().off == "uWSGI lets no threads run; start it with enable-threads"
    assert caplog.messages == ["swprof_mw is off: uWSGI lets no threads run; start it with enable-threads"]
    assert caplog.records[0].levelno == logging.ERROR
    assert agent.current() is None


def test_a_request_while_uwsgi_loads_the_app_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, recorded: Recorded
) -> None:
    uwsgi(monkeypatch, {"enable_threads": True}, worker=0)
    application = Application(7001, {"service_name": "shop"})
    assert application.begin("GET", "/") is None
    assert agent.current() is None
    uwsgi(monkeypatch, {"enable_threads": True}, worker=1)  # without a master, by the same process
    span = application.begin("GET", "/")
    assert span is not None
    span.end(200)
    assert len(recorded.segments) == 1


def test_a_mule_may_start_one(monkeypatch: pytest.MonkeyPatch, recorded: Recorded) -> None:
    uwsgi(monkeypatch, {"enable_threads": True}, worker=0, mule=1)
    assert Application(7001, {"service_name": "shop"}).begin("GET", "/") is not None
    assert list(recorded.agent.services) == ["shop"]


class Server:
    """As uvicorn's, as far as it is looked at."""

    def __init__(self, captured: list[int]) -> None:
        self._captured_signals = captured
        self.done: list[object] = []

    async def shutdown(self, sockets: object = None) -> str:
        """Answer the last requests."""
        self.done.append(sockets)
        return "down"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of uvicorn's server, before anybody changed it."""
    made = type("Server", (Server,), {"shutdown": Server.shutdown})
    monkeypatch.setitem(sys.modules, "uvicorn.server", SimpleNamespace(Server=made))
    return made


@pytest.mark.parametrize(("captured", "ended"), [([15], 1), ([], 0)])
def test_uvicorn_ends_after_its_last_request_if_a_signal_ends_it(server: Any, captured: list[int], ended: int) -> None:
    seen: list[object] = []
    for _ in range(3):
        servers.before_uvicorn_ends(lambda: seen.append(list(running.done)))
    running = server(captured)
    assert asyncio.run(running.shutdown(sockets=7)) == "down"
    assert seen == [[7]] * ended


def test_a_failure_of_ours_does_not_reach_uvicorn(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise KeyError("ours")

    servers.before_uvicorn_ends(fail)
    assert asyncio.run(server([15]).shutdown()) == "down"
    assert "ending with uvicorn" in caplog.text


def test_a_failure_of_uvicorn_s_own_passes_on(server: Any) -> None:
    async def fail(self: Any, sockets: object = None) -> None:
        raise KeyError("its own")

    server.shutdown = fail
    seen: list[int] = []
    servers.before_uvicorn_ends(lambda: seen.append(1))
    with pytest.raises(KeyError, match="its own"):
        asyncio.run(server([15]).shutdown())
    assert seen == [1]


def test_without_uvicorn_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "uvicorn.server", raising=False)
    servers.before_uvicorn_ends(lambda: None)
