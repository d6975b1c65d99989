"""The official Python agent reports to the embedded collector, and is profiled by it, as by a real OAP."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from swprof_mw.collector import ids
from swprof_mw.collector.server import Collector
from swprof_mw.query.client import OapClient, Request, service_id
from tests import official
from tests.environments import python_3_11
from tests.oap.period import days
from tests.oap.server import OapServer
from tests.parity import TRACES
from tests.servers import ROOT
from tests.waiting import eventually

SERVICE, ENDPOINT = "official", "/cart"
WORK = 150
"""Ms that a request takes at the least, all of it in the function ``cart``."""

INSTANCES = """query($d: Duration!, $s: ID!){
    listInstances(duration: $d, serviceId: $s){id name language attributes{name value}}}"""


@contextlib.contextmanager
def app(backend: str) -> Iterator[None]:
    """A Flask app that is asked for ``/cart`` all the time, with the official agent."""
    settings = {
        "SW_AGENT_COLLECTOR_BACKEND_SERVICES": backend,
        "SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL": "1",
        "PYTHONPATH": str(ROOT),
    }
    script = subprocess.Popen(
        [official.interpreter(), "-m", "tests.official.both", "official"],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield
    finally:
        output, _ = script.communicate(input="", timeout=20)
    assert "ended well" in output, output


def requests(client: OapClient, period: dict[str, str]) -> list[dict[str, Any]]:
    """The service's requests that were reported, the longest first."""
    condition = {
        "serviceId": service_id(SERVICE),
        "queryDuration": period,
        "traceState": "SUCCESS",
        "queryOrder": "BY_DURATION",
        "paging": {"pageNum": 1, "pageSize": 20},
    }
    found: list[dict[str, Any]] = client.query(TRACES, c=condition)["queryBasicTraces"]["traces"]
    return found


def profiled(client: OapClient, task: str) -> list[Request]:
    """The profiled requests that are shown at work; the official agent takes few snapshots of each."""
    return [request for request in client.segments(task) if analysed(client, request)]


def analysed(client: OapClient, request: Request) -> int:
    """Ms that the analysis gives to the function that works."""
    assert request.entry is not None
    _, trees = client.analyze(request.entry.segment_id, request.entry.start, request.entry.end)
    return sum(one.duration for tree in trees for one in tree if ".cart" in one.code_signature)


def told(client: OapClient, period: dict[str, str]) -> list[dict[str, Any]]:
    """The instances that have told their properties."""
    found = client.query(INSTANCES, d=period, s=service_id(SERVICE))["listInstances"]
    return [one for one in found if one["attributes"]]


def check(backend: str, url: str) -> None:
    """The agent's process and requests are listed, its task reaches it, and its snapshots are shown."""
    with app(backend):
        client, period = OapClient(url), days(time.time())
        eventually(lambda: requests(client, period) and client.endpoints(SERVICE), "a request")
        # OAP answers from a list that it makes anew every 10 s.
        eventually(lambda: SERVICE in client.services(), "the service")
        assert client.endpoints(SERVICE) == [ENDPOINT]
        longest = requests(client, period)[0]
        assert longest["endpointNames"] == [ENDPOINT]
        assert longest["duration"] >= WORK
        [instance] = eventually(lambda: told(client, period), "the instance's properties")
        assert instance["id"] == ids.instance_id(SERVICE, instance["name"])
        assert instance["language"] == "PYTHON"
        task = client.create_task(SERVICE, ENDPOINT, period=10, samples=9)
        found = eventually(lambda: profiled(client, task), "a profiled request")
        logs = eventually(lambda: [one.notified for one in client.tasks(SERVICE) if one.notified], "the task's log")
        assert logs == [{instance["name"]}] == [{request.instance for request in found}]
        entry = found[0].entry
        assert entry is not None
        assert (entry.endpoint, entry.type, entry.tags["http.method"]) == (ENDPOINT, "Entry", "GET")
        assert analysed(client, found[0]) <= entry.end - entry.start


if python_3_11() or os.environ.get("CI"):

    def test_the_official_agent_is_listed_profiled_and_shown() -> None:
        with Collector(0, 0) as collector:
            check(collector.backend, collector.url)

    @pytest.mark.oap
    def test_a_real_oap_lists_profiles_and_shows_it_alike(oap: OapServer) -> None:
        check(oap.grpc_address, oap.url)
