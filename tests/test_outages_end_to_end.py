"""Profiles taken in an outage, and outages of the real OAP: frozen, stopped and started again, with TLS and a token."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import swprof_mw
from swprof_mw.application import Application
from swprof_mw.config import Config
from swprof_mw.query.client import OapClient, service_id
from swprof_mw.reporter.reporter import Reporter
from tests.certificates import Authority
from tests.faulty import FINISH, SNAPSHOTS, task_command
from tests.oap.period import days
from tests.oap.server import OapServer
from tests.outages import Scene
from tests.relay import Relay
from tests.reports import Probe, segment
from tests.sampled import work_until_sampled
from tests.waiting import endpoints_listed, eventually


def test_a_profile_taken_in_an_outage_arrives_whole() -> None:
    with Scene() as scene:
        settings = {"backend_services": scene.line.address, "profile_task_query_interval": 0.1}
        application = Application(7001, {"service_name": "shop", **settings})
        scene.backend.commands["shop"] = [task_command("/cart", MaxSamplingCount=2)]
        request(application, "/")
        eventually(lambda: "task-serial-1" in swprof_mw.stats().tasks.values(), "the task is there", interval=0.02)
        scene.backend.wait(lambda: len(scene.backend.segments()) == 1)
        scene.line.refuse()
        for _ in range(2):
            request(application, "/cart", snapshots=5)
        eventually(lambda: swprof_mw.stats().finishes.queued == 1, "the task has ended", interval=0.02)
        queued = swprof_mw.stats()
        assert not scene.backend.messages(SNAPSHOTS)
        scene.line.open()
        scene.backend.wait(lambda: len(scene.backend.calls(FINISH)) == 1)
        sequences: dict[str, list[int]] = {}
        for message in scene.backend.messages(SNAPSHOTS):
            sequences.setdefault(message.traceSegmentId, []).append(message.sequence)
        assert sum(map(len, sequences.values())) == queued.snapshots.queued >= 10
        assert all(found == list(range(len(found))) for found in sequences.values())
        profiled = [each for each in scene.backend.segments() if each.spans[0].operationName == "/cart"]
        assert {each.traceSegmentId for each in profiled} == set(sequences)
        assert scene.backend.messages(FINISH)[0].taskId == "task-serial-1"


def request(application: Application, path: str, snapshots: int = 0) -> None:
    """One that ends when so many snapshots have been kept."""
    span = application.begin("GET", path)
    assert span is not None
    span.enter(sys._getframe())
    span.route(path)
    if snapshots:
        work_until_sampled(snapshots)
    span.end(200)


# The real OAP: one of our own, that speaks TLS, asks for a certificate and for a token, and has a line before it.

TOKEN = "s3cret-t0ken"
BACK_WITHIN = 5.0


class RealOap:
    """A real OAP that may be frozen, or ended and started again on the same ports."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory)
        self.stranger = Authority(directory, "stranger")
        self._key, self._certificate = self.authority.sign("server", hosts=("DNS:localhost",))
        self.ours = self.authority.sign("client", hosts=("DNS:client.example",))
        self.server = self._start(0, 0)
        self.line = Relay(self.server.grpc_port)

    def _start(self, grpc_port: int, http_port: int) -> OapServer:
        tls = {"tls_key": self._key, "tls_cert": self._certificate, "client_ca": self.authority.certificate}
        return OapServer(grpc_port, http_port, TOKEN, **tls)

    def restart(self) -> None:
        """End it, and start it again with nothing in its store."""
        self.server.stop()
        self.server = self._start(self.server.grpc_port, self.server.http_port)

    def settings(self, **changes: object) -> dict[str, object]:
        """All that it takes to report to it, several times a second."""
        key, certificate = map(str, self.ours)
        return {
            "backend_services": f"localhost:{self.line.port}",
            "authentication": TOKEN,
            "tls_ca": str(self.authority.certificate),
            "tls_key": key,
            "tls_cert": certificate,
            "heartbeat_period": 1.0,
            "profile_task_query_interval": 0.5,
            **changes,
        }

    def signal(self, number: int) -> None:
        """Send its process a signal."""
        os.kill(self.server.child.pid, number)

    def close(self) -> None:
        """End it all."""
        self.line.stop()
        self.server.stop()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealOap]:
    """One for this module."""
    running = RealOap(tmp_path_factory.mktemp("tls"))
    yield running
    running.close()


class Traffic:
    """A reporter with segments of a service of its own to send: every one is one trace."""

    def __init__(self, real: RealOap, service: str, **changes: object) -> None:
        self.service = service
        self.count = 0
        self.loop = Reporter(Config.load(real.settings(**changes), environ={}))
        self.loop.join(Probe(service))
        self.loop.start()

    def feed(self, count: int, seconds: float = 0.0) -> None:
        """So many segments, spread over so long."""
        for _ in range(count):
            now, name = int(time.time() * 1000), f"{self.service}.{self.count}"
            who: dict[str, Any] = {"service": self.service, "instance": f"{self.service}-1"}
            self.loop.segments.add(segment(trace_id=name, segment_id=name, start=now - 5, end=now, **who))
            self.count += 1
            time.sleep(seconds / count)

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.stop(2.0)


def back_after(traffic: Traffic) -> float:
    """Seconds until a segment of now is taken, and all before it."""
    traffic.feed(1)
    began = time.monotonic()
    eventually(lambda: traffic.loop.segments.sent == traffic.count, "reporting goes on", interval=0.02)
    return time.monotonic() - began


def traces(server: OapServer, service: str) -> list[str]:
    """The ids of the service's traces, of today and of ten minutes ago, as OAP lists them."""
    condition = {
        "serviceId": service_id(service),
        "queryDuration": days(time.time() - 600),
        "traceState": "ALL",
        "queryOrder": "BY_START_TIME",
        "paging": {"pageNum": 1, "pageSize": 10_000},
    }
    query = "query($c: TraceQueryCondition){queryBasicTraces(condition:$c){traces{traceIds}}}"
    found = OapClient(server.url).query(query, c=condition)["queryBasicTraces"]["traces"]
    return [trace for each in found for trace in each["traceIds"]]


def all_listed(real: RealOap, traffic: Traffic) -> None:
    """Wait until OAP has every trace, each once."""
    wanted = sorted(f"{traffic.service}.{number}" for number in range(traffic.count))
    eventually(lambda: sorted(traces(real.server, traffic.service)) == wanted, "all is listed, once")
    lost = traffic.loop.segments.dropped + traffic.loop.segments.refused
    assert lost == 0


@pytest.mark.oap
@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"authentication": "another"}, "WARNING", "is the token (authentication) right?"),
        ({"authentication": ""}, "WARNING", "is the token (authentication) right?"),
        ({"tls_ca": "stranger"}, "ERROR", "its certificate comes from no authority in"),
        ({"host": "127.0.0.1"}, "ERROR", "its certificate is for another host than '127.0.0.1'"),
        ({"tls_key": None, "tls_cert": None}, "ERROR", "tls_cert is not set"),
    ],
    ids=["other token", "no token", "unknown authority", "other host", "no certificate"],
)
def test_the_real_oap_lets_nobody_in_who_must_not(
    real: RealOap, caplog: pytest.LogCaptureFixture, changes: dict[str, object], level: str, words: str
) -> None:
    if "tls_ca" in changes:
        changes = {"tls_ca": str(real.stranger.certificate)}
    if "host" in changes:
        changes = {"backend_services": f"127.0.0.1:{real.line.port}"}
    with Traffic(real, "shop-stranger", **changes) as traffic:
        traffic.feed(1)
        eventually(lambda: caplog.records, "it is logged", interval=0.05)
        assert caplog.records[0].levelname == level
        assert words in caplog.messages[0]
        assert TOKEN not in caplog.text
        assert traffic.loop.segments.sent == 0


@pytest.mark.oap
def test_the_real_oap_gets_all_of_a_profile_taken_while_it_could_not_be_reached(
    real: RealOap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SW_AGENT_COLLECTOR_BACKEND_SERVICES", raising=False)
    client = OapClient(real.server.url)
    application = Application(7001, {"service_name": "shop-profiled", **real.settings()})
    request(application, "/cart")
    endpoints_listed(client, "shop-profiled", "/cart")
    task_id = client.create_task("shop-profiled", "/cart", samples=2, period=10)
    eventually(lambda: task_id in swprof_mw.stats().tasks.values(), "the task is there", interval=0.02)
    real.line.refuse()
    for _ in range(2):
        request(application, "/cart", snapshots=20)
    real.line.open()
    real.line.swallow()
    eventually(lambda: swprof_mw.stats().finishes.queued == 1, "the task has ended", interval=0.02)
    kept = swprof_mw.stats().snapshots.queued
    real.line.open()
    eventually(lambda: any(task.finished for task in client.tasks("shop-profiled")), "it is told")
    requests = eventually(lambda: len(found := client.segments(task_id)) == 2 and found, "they are stored")
    spans = [each.entry for each in requests or []]
    trees = [client.analyze(span.segment_id, span.start, span.end)[1] for span in spans if span]
    assert [len(each) for each in trees] == [1, 1]
    assert sum(each[0][0].count for each in trees) == kept


@pytest.mark.oap
def test_the_real_oap_is_noticed_when_it_is_thawed(real: RealOap) -> None:
    with Traffic(real, "shop-frozen") as traffic:
        traffic.feed(20)
        eventually(lambda: traffic.loop.segments.sent == 20, "they are sent", interval=0.02)
        real.signal(signal.SIGSTOP)
        traffic.feed(100, seconds=4.5)
        assert traffic.loop.segments.sent == 20
        real.signal(signal.SIGCONT)
        assert back_after(traffic) < BACK_WITHIN
        traffic.feed(20)
        all_listed(real, traffic)


@pytest.mark.oap
def test_the_real_oap_gets_all_that_was_queued_while_it_was_restarted(real: RealOap) -> None:
    with Traffic(real, "shop-restarted") as traffic:
        real.server.stop()
        with ThreadPoolExecutor(1) as pool:
            restarted = pool.submit(real.restart)
            while not restarted.done():
                traffic.feed(10, seconds=0.2)
            restarted.result()
        assert back_after(traffic) < BACK_WITHIN
        all_listed(real, traffic)
