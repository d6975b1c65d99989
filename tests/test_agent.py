"""One agent a process: when it starts, what it reports, and what its end does. Scripts run in processes."""

from __future__ import annotations

import _socket
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from swprof_mw import agent
from swprof_mw.application import Application
from swprof_mw.config import Config, ConfigError
from tests.doubles import at_once
from tests.faulty import FINISH, KEEP_ALIVE, PROPERTIES, QUERY, SNAPSHOTS, Backend, task_command
from tests.recorded import Recorded
from tests.sampled import work_until_sampled
from tests.scripts import ROOT, Script

ADAPTERS = ("swprof_mw.flask", "swprof_mw.django", "swprof_mw.asgi")


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend that listens."""
    with Backend() as started:
        yield started


@pytest.fixture
def settings(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents of this process report to ``backend``, and ask it often."""
    monkeypatch.setenv("SW_AGENT_COLLECTOR_BACKEND_SERVICES", backend.address)
    monkeypatch.setenv("SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL", "0.1")


def serve(application: Application, path: str = "/cart", snapshots: int = 0) -> None:
    """One request, that ends when so many snapshots have been kept."""
    span = application.begin("GET", path)
    assert span is not None
    span.enter(sys._getframe())
    span.route(path)
    if snapshots:
        work_until_sampled(snapshots)
    span.end(200)


# The start.


@pytest.mark.parametrize("module", ["swprof_mw", "swprof_mw.application", "swprof_mw.agent", *ADAPTERS])
def test_importing_imports_no_grpc_and_starts_nothing(module: str) -> None:
    code = f"""
import _thread, sys, threading
import {module}
found = sorted(name for name in ("grpc", "google.protobuf") if name in sys.modules)
print(found, threading.active_count(), _thread._count())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["[]", "1", "0"], done.stdout


def test_an_app_that_is_made_starts_nothing_before_its_first_request(backend: Backend) -> None:
    out = Script(
        backend.address,
        """
        import _thread
        print("grpc" in sys.modules, _thread._count())
        request()
        print(_thread._count() > 0)
        """,
    ).output()
    assert out.split() == ["False", "0", "True"]


@pytest.mark.parametrize(("transport", "library"), [("auto", "google.protobuf"), ("grpc", "grpc")])
def test_the_first_request_does_not_wait_for_a_library(backend: Backend, transport: str, library: str) -> None:
    out = Script(
        backend.address,
        """
        import importlib.abc
        answered = threading.Event()

        class Slow(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path, target=None):
                if name == os.environ["LIBRARY"]:
                    assert answered.wait(10), "the request waits for the import"
                    print("imported by", threading.current_thread().name != "MainThread")
                return None

        sys.meta_path.insert(0, Slow())
        request()
        print("answered")
        answered.set()
        """,
        {"SWPROF_TRANSPORT": transport, "LIBRARY": library},
    ).output()
    assert out.splitlines() == ["answered", "imported by True"]
    assert len(backend.segments()) == 1


@pytest.mark.usefixtures("settings")
def test_a_request_is_reported_and_a_task_s_profile_too(backend: Backend) -> None:
    backend.commands["shop"] = [task_command("/cart", MaxSamplingCount=1)]
    application = Application(7001, {"service_name": "shop"})
    serve(application, "/")
    backend.wait(lambda: agent.current() is not None and _current_task() is not None)
    serve(application, "/cart", snapshots=4)
    backend.wait(lambda: len(backend.calls(FINISH)) == 1 and len(backend.segments()) == 2)
    [profiled] = [each for each in backend.segments() if each.spans[0].operationName == "/cart"]
    snapshots = backend.messages(SNAPSHOTS)
    assert len(snapshots) >= 4
    assert {snapshot.traceSegmentId for snapshot in snapshots} == {profiled.traceSegmentId}
    assert {snapshot.stack.codeSignatures[0] for snapshot in snapshots} == {"/cart"}
    assert [snapshot.sequence for snapshot in snapshots][:3] == [0, 1, 2]
    finish = backend.messages(FINISH)[0]
    assert (finish.service, finish.taskId) == ("shop", "task-serial-1")
    assert finish.serviceInstance == profiled.serviceInstance == backend.messages(KEEP_ALIVE)[0].serviceInstance


@pytest.mark.usefixtures("settings")
def test_two_services_share_one_agent_and_both_report(backend: Backend) -> None:
    shop, bank = (Application(7001, {"service_name": name}) for name in ("shop", "bank"))
    for application in (shop, bank):
        serve(application)
    running = agent.current()
    assert running is not None
    assert sorted(running.services) == ["bank", "shop"]
    backend.wait(lambda: len(backend.segments()) == 2 and len(backend.calls(QUERY)) >= 4)
    for method in (PROPERTIES, KEEP_ALIVE, QUERY):
        assert {message.service for message in backend.messages(method)} == {"shop", "bank"}
    assert {segment.service for segment in backend.segments()} == {"shop", "bank"}
    assert len({segment.serviceInstance for segment in backend.segments()}) == 1
    backend.commands["bank"] = [task_command("/cart")]
    backend.wait(lambda: running.services["bank"].tasks.current is not None)
    assert running.services["shop"].tasks.current is None
    serve(shop, "/cart")
    serve(bank, "/cart", snapshots=3)
    backend.wait(lambda: len(backend.segments()) == 4 and len(backend.messages(SNAPSHOTS)) > 1)
    [profiled] = [each for each in backend.segments()[2:] if each.service == "bank"]
    assert {snapshot.traceSegmentId for snapshot in backend.messages(SNAPSHOTS)} == {profiled.traceSegmentId}


def test_apps_of_one_service_are_one_member(recorded: Recorded) -> None:
    first, second = (Application(component, {"service_name": "shop"}) for component in (7001, 7004))
    serve(first)
    serve(second)
    assert list(recorded.agent.services) == ["shop"]
    assert [segment.component for segment in recorded.segments] == [7001, 7004]


def test_apps_that_disagree_on_a_setting_of_the_process_are_told_once(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    first = Application(7001, {"service_name": "shop", "profile_max_parallel": 5})
    second = Application(7001, {"service_name": "bank", "profile_max_parallel": 6, "authentication": ""})
    serve(first)
    for _ in range(3):
        assert second.begin("GET", "/") is None
    serve(first)
    assert len(recorded.segments) == 2
    assert caplog.messages == [
        "swprof_mw is off: profile_max_parallel must be the same in all apps of a process, but two of them have 5 and 6"
    ]


def test_a_service_without_a_name_is_an_error() -> None:
    with pytest.raises(ConfigError, match="service_name is not set"):
        agent.attach(Config.load({}, environ={}), "")
    service = agent.attach(Config.load({}, environ={}), "flask app")
    assert service is not None
    assert service.name == "flask app"


def test_properties_say_what_the_instance_is(recorded: Recorded) -> None:
    application = Application(7001, {"service_name": "shop", "instance_properties": {"zone": "b"}, "namespace": "eu"})
    serve(application)
    properties = dict(recorded.service().properties())
    assert properties["language"] == "python"
    assert properties["Process No."] == str(os.getpid())
    assert {"OS Name", "hostname", "ipv4", "python"} < properties.keys()
    assert (properties["zone"], properties["namespace"]) == ("b", "eu")


def test_a_host_without_a_way_out_is_its_own(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cut(_socket.socket):
        def connect(self, address: object) -> None:
            raise OSError(address)

    monkeypatch.setattr("_socket.socket", Cut)
    serve(Application(7001, {"service_name": "shop"}))
    assert dict(recorded.service().properties())["ipv4"] == "127.0.0.1"


def test_the_address_is_one_that_others_can_reach(recorded: Recorded) -> None:
    serve(Application(7001, {"service_name": "shop"}))
    with socket.socket() as mine:
        mine.bind((dict(recorded.service().properties())["ipv4"], 0))  # one of the host's own


def test_properties_look_no_name_up(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child forked during a look-up has the resolver's lock held for ever."""

    def note(*_: object) -> str:
        looked_up.append(_)
        return "127.0.0.1"

    looked_up: list[object] = []
    for name in ("gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getaddrinfo"):
        monkeypatch.setattr(f"socket.{name}", note)
        monkeypatch.setattr(f"_socket.{name}", note)
    serve(Application(7001, {"service_name": "shop"}))
    recorded.service().properties()
    assert looked_up == []


# The end.


@pytest.mark.usefixtures("settings")
def test_shutting_down_sends_all_and_ends_the_tasks(backend: Backend) -> None:
    backend.commands["shop"] = [task_command("/cart")]
    application = Application(7001, {"service_name": "shop"})
    serve(application, "/")
    backend.wait(lambda: _current_task() is not None)
    serve(application, "/cart", snapshots=3)
    began = time.monotonic()
    agent.shut_down()
    assert time.monotonic() - began < 2.0
    assert agent.current() is None
    assert len(backend.segments()) == 2
    assert backend.messages(SNAPSHOTS)
    assert len(backend.calls(FINISH)) == 1
    agent.shut_down()  # nothing is left to do


def _current_task() -> Any:
    running = agent.current()
    with contextlib.suppress(AttributeError, StopIteration):
        return next(iter(running.services.values())).tasks.current  # type: ignore[union-attr]
    return None


@pytest.mark.usefixtures("recorded")
def test_a_first_request_is_traced_though_another_one_starts_the_agent_in_the_middle_of_it() -> None:
    class Attached(Application):
        """One that another thread attaches just when this one looks whether it is."""

        known = 0
        others = 1

        @property
        def _process(self) -> int:
            if self.others:
                self.others = 0
                self.attach()
            return self.known

        @_process.setter
        def _process(self, process: int) -> None:
            self.known = process

    assert Attached(7001, {"service_name": "shop"}).begin("GET", "/") is not None


def test_first_requests_that_come_at_once_are_all_traced(recorded: Recorded) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for number in range(20):
            application = Application(7001, {"service_name": f"shop {number}"})
            at_once(4, lambda _, app=application: serve(app))  # type: ignore[misc]
            assert len(recorded.segments) == 4 * (number + 1)
    finally:
        sys.setswitchinterval(interval)
