"""Profiles taken in an outage, and outages of the real OAP: frozen, stopped and started again, with TLS and a token."""

from __future__ import annotations

import sys

import swprof_mw
from swprof_mw.application import Application
from tests.faulty import FINISH, SNAPSHOTS, task_command
from tests.outages import Scene
from tests.sampled import work_until_sampled
from tests.waiting import eventually


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
