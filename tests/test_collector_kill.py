"""A collector with a file that is killed and started again: nothing is lost that it had acknowledged, tasks go on."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from swprof_mw.collector.store import Store
from swprof_mw.query.client import OapClient
from tests import examples
from tests.doubles import wait_until
from tests.load import get
from tests.test_collector import Agent
from tests.test_collector_store import faults
from tests.waiting import eventually, fetched


class Running:
    """A collector in a process of its own."""

    def __init__(self, path: str, grpc_port: int = 0) -> None:
        command = [sys.executable, "-m", "swprof_mw", "collector", "--grpc-port", str(grpc_port), "--http-port", "0"]
        self._process = subprocess.Popen([*command, "--store", path], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.backend = self._process.stdout.readline().split()[1]
        self.client = OapClient(self._process.stdout.readline().split()[1].removesuffix("/graphql"))

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self._process.kill()
        self._process.communicate(timeout=10)


@contextlib.contextmanager
def running(path: str, grpc_port: int = 0) -> Iterator[Running]:
    """Killed at the end if it was not before."""
    collector = Running(path, grpc_port)
    try:
        yield collector
    finally:
        collector.kill()


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Of a file that is not there yet."""
    return str(tmp_path / "profiles.db")


class Acknowledged:
    """Agents that send until the collector is gone, and note what they were told is kept."""

    def __init__(self, backend: str, agents: int) -> None:
        self.segments: list[str] = []
        self.profiles: list[tuple[str, int]] = []
        self._backend = backend
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(agents)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until all have noticed."""
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def _send(self, number: int) -> None:
        with grpc.insecure_channel(self._backend) as channel, contextlib.suppress(grpc.RpcError):
            agent = Agent(channel, "shop", f"instance-{number}")
            for turn in range(100_000):
                identifier = f"{number}-{turn}"
                count = 1 + turn % 40
                agent.snapshots("t", identifier, [(one, one, ["/e", f"frame {one % 7}"]) for one in range(count)])
                self.profiles.append((identifier, count))
                self.segments.append(agent.request(turn, turn + 1))


@pytest.mark.parametrize("seconds", [0.3, 1.1, 2.0])
def test_what_was_acknowledged_is_there_after_a_kill(path: str, seconds: float) -> None:
    with running(path) as collector:
        sent = Acknowledged(collector.backend, agents=6)
        wait_until(lambda: len(sent.segments) > 20)
        time.sleep(seconds)
        collector.kill()
        sent.join()
    assert len(sent.profiles) > 20
    Store(path).close()
    assert faults(path) == []
    with contextlib.closing(Store(path)) as store:
        kept = {one.segment_id for one in store.segments()}
        assert set(sent.segments) <= kept
        assert {name: len(store.snapshots(name)) for name, _ in sent.profiles} == dict(sent.profiles)


def test_a_running_task_goes_on_after_a_kill(path: str) -> None:
    with running(path) as collector, grpc.insecure_channel(collector.backend) as channel:
        agent = Agent(channel)
        agent.request(0, 1)
        task = collector.client.create_task("shop", "/e")
        [told] = agent.commands()
        agent.snapshots(task, "before", [(0, 5, ["/e"])])
        collector.kill()
    with running(path) as collector, grpc.insecure_channel(collector.backend) as channel:
        agent = Agent(channel)
        [again] = agent.commands()
        assert {**again, "SerialNumber": ""} == {**told, "SerialNumber": ""}
        assert agent.commands(int(told["CreateTime"])) == []
        agent.like("shop", "two").commands()
        agent.snapshots(task, "after", [(0, 5, ["/e"])])
        agent.finish(task)
        found = collector.client.query("{getProfileTaskList{id logs{operationType instanceName}}}")
        [kept] = found["getProfileTaskList"]
        assert kept["id"] == task
        assert [(log["operationType"], log["instanceName"]) for log in kept["logs"]] == [
            ("EXECUTION_FINISHED", "one"),
            ("NOTIFIED", "two"),
            ("NOTIFIED", "one"),
            ("NOTIFIED", "one"),
        ]
        refused = collector.client.query(
            """mutation { createProfileTask(creationRequest: {serviceId: "c2hvcA==.1", endpointName: "/e", duration: 5,
            minDurationThreshold: 0, dumpPeriod: 10, maxSamplingCount: 5}) {errorReason}}"""
        )["createProfileTask"]["errorReason"]
        assert refused == "current service already has monitor task execute at this time"
    with contextlib.closing(Store(path)) as store:
        assert [len(store.snapshots(name)) for name in ("before", "after")] == [1, 1]


def test_an_app_comes_back_after_a_kill_and_its_task_goes_on(path: str) -> None:
    example = examples.EXAMPLES[0]
    with running(path) as first:
        port = int(first.backend.rpartition(":")[2])
        with examples.running(example, first.backend) as server:
            examples.show_endpoints(example, server, first.client)
            task = first.client.create_task(example.service, example.endpoint, samples=9)
            fetched(first.client, {task: example.service})
            assert get(server.url + "/orders/1")[0] == 200
            eventually(lambda: len(profiled(first.client, task)) == 1, "a request is profiled")
            first.kill()
            assert get(server.url + "/orders/2")[0] == 200  # while nobody listens
            with running(path, port) as second:
                assert get(server.url + "/orders/3")[0] == 200
                eventually(lambda: len(profiled(second.client, task)) == 3, "all three are there, with their snapshots")


def profiled(client: OapClient, task: str) -> set[str]:
    """The paths whose profile shows the app's own code."""
    spans = [one.entry for one in client.segments(task) if one.entry]
    return {
        span.tags["http.url"].rpartition("/")[2]
        for span in spans
        if any(
            "shop.py" in frame.code_signature
            for tree in client.analyze(span.segment_id, span.start, span.end)[1]
            for frame in tree
        )
    }
