"""Requests of two endpoints side by side, one of them profiled: its profiles hold nothing of the other one."""

from __future__ import annotations

import sys

import pytest

from bench.cases import CASES, Case
from bench.measure import evaluate, profile, profiled, serving
from swprof_mw.collector.server import Collector
from tests.load import drive

pytestmark = [pytest.mark.alone, pytest.mark.profiles]

#: Of both endpoints together. The samples are taken within some thirty; the others go on beside until all is told.
REQUESTS = 80
SAMPLES = 9
NO_TRUTH = {"compute": 0.0, "worked": 0.0, "wait": 0.0, "total": 1.0}
SIDE_BY_SIDE = [case for case in CASES if str(case) in ("waitress-flask-sync", "uvicorn-fastapi-async")]


@pytest.mark.parametrize("case", SIDE_BY_SIDE, ids=str)
def test_no_snapshot_is_of_another_request(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    # Four at once may cost more than the sampler's share of a core, and then come less often: that is tested elsewhere.
    monkeypatch.setenv("SWPROF_MAX_CPU", "100")
    with (
        Collector(grpc_port=0, http_port=0) as collector,
        serving(case, collector.backend, sys.executable, threads=4) as server,
    ):
        task_id = profile(case, collector, SAMPLES)
        urls = [f"{server.url}{path}?burst=2&total=300" for path in (case.own, case.other)]
        results = drive(urls, count=REQUESTS, parallel=4)
        segments = profiled(collector, task_id, SAMPLES)
        snapshots = {segment.segment_id: collector.store.snapshots(segment.segment_id) for segment in segments}
    assert [result.status for result in results] == [200] * REQUESTS
    measured = [evaluate(segment, snapshots[segment.segment_id], NO_TRUTH) for segment in segments]
    assert sum(one.foreign for one in measured) == 0
    assert sum(one.outside for one in measured) == 0
    assert sum(one.taken for one in measured) >= 0.95 * sum(one.expected for one in measured)
    assert all(len(one.stack) > 1 for found in snapshots.values() for one in found), "a frame of the request in each"
    assert {one.trees for one in measured} == {1}
