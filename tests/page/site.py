"""Where a page is, and profiles to show there: those of an example app, or any that a test makes up."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import grpc

from swprof_mw.collector.server import Collector
from swprof_mw.query.client import OapClient, service_id
from tests.oap.server import OapServer
from tests.page.browser import environment
from tests.test_collector import Agent

Stack = list[str]

OAP_PATIENCE = 2.0
"""A real OAP lists services anew every 10 s, hands out tasks within 12 s, and stores what it is sent within some."""


@dataclass(frozen=True)
class Site:
    """A page's address, the agents' port, and what to multiply times to wait with."""

    page: str
    backend: str
    patience: float = 1.0

    def task(self, service: str, task: str) -> str:
        """The address of a task's state."""
        return f"{self.page}#/task/{quote(service_id(service), '')}/{quote(task, '')}"

    def profile(self, service: str, task: str, segments: Sequence[str], more: str = "") -> str:
        """The address of the state that shows requests."""
        path = f"{quote(service_id(service), '')}/{quote(task, '')}"
        return f"{self.page}#/profile/{path}?a={quote(','.join(segments))}{more}"


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """An embedded collector's page, or the one that ``SWPROF_PAGE`` names, whose agents report to ``SWPROF_BACKEND``.

    ``SWPROF_PATIENCE`` is for servers that take longer to show what they have received.
    """
    if page := environment("SWPROF_PAGE"):
        backend = environment("SWPROF_BACKEND")
        assert backend, "SWPROF_PAGE without SWPROF_BACKEND"
        yield Site(page, backend, float(environment("SWPROF_PATIENCE") or 1))
        return
    with Collector(0, 0) as collector:
        yield Site(collector.page, collector.backend)


@contextlib.contextmanager
def over(oap: OapServer) -> Iterator[Site]:
    """The page over a real OAP, as ``python -m swprof_mw ui`` shows it."""
    command = [sys.executable, "-m", "swprof_mw", "ui", "--oap", oap.url, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().split() == ["OAP", oap.url]
            yield Site(process.stdout.readline().split()[1], oap.grpc_address, OAP_PATIENCE)
        finally:
            process.terminate()


@dataclass(frozen=True)
class Profiled:
    """A task, and its requests' segments."""

    service: str
    task: str
    segments: list[str]
    start: int


@contextlib.contextmanager
def connected(site: Site) -> Iterator[grpc.Channel]:
    """A connection as agents have one."""
    with grpc.insecure_channel(site.backend) as channel:
        yield channel


def profiled(
    channel: grpc.Channel,
    client: OapClient,
    requests: Sequence[Sequence[Stack]],
    *,
    service: str = "shop",
    endpoint: str = "/cart",
    instance: str = "one",
    missing: int = 0,
    finish: bool = True,
) -> Profiled:
    """A task with these requests: each is its stacks, 10 ms apart, and ``missing`` ms that none tells of."""
    agent = Agent(channel, service, instance)
    agent.keep_alive()
    agent.request(0, 1, endpoint)
    task = client.create_task(service, endpoint)
    start = int(agent.commands()[-1]["StartTime"])
    segments = []
    for number, stacks in enumerate(requests):
        begin = start + 1000 * number
        duration = 10 * (len(stacks) - 1) + missing
        tags = {"http.method": "GET", "http.status_code": "200"}
        segment = agent.request(begin, begin + duration, endpoint, tags=tags)
        rows = [(one, begin + 10 * one, stack) for one, stack in enumerate(stacks)]
        agent.snapshots(task, segment, rows)
        segments.append(segment)
    if finish:
        agent.finish(task)
    return Profiled(service, task, segments, start)
