"""A task with a minimum duration, under load: the few that it is about are all profiled, whoever runs beside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from swprof_mw.application import Application
from swprof_mw.span import EntrySpan
from swprof_mw.wsgi.entry import SPAN, WSGIEntry
from tests.recorded import Recorded
from tests.wsgi_client import ask

THRESHOLD = 300
FAST = 200
SLOW = 3
#: Of one slow request, seconds: far more than the threshold.
LONGEST = 20.0


def test_200_fast_requests_do_not_take_the_place_of_3_slow_ones(recorded: Recorded) -> None:
    are_slow = threading.Semaphore(0)
    over = threading.Event()

    def slow(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        span = environ[SPAN]
        are_slow.release()
        until = time.monotonic() + LONGEST
        # As long as it takes the sampler to come by, on whatever machine; and until the fast ones are through.
        while time.monotonic() < until and not (over.is_set() and span.segment_id in profiled()):
            time.sleep(0.01)
        start_response("200 OK", [])
        return [b"slow"]

    def fast(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        time.sleep(0.002)
        start_response("200 OK", [])
        return [b"fast"]

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        assert isinstance(environ[SPAN], EntrySpan)
        environ[SPAN].route("/report")
        return (slow if environ["PATH_INFO"] == "/slow" else fast)(environ, start_response)

    def profiled() -> set[str]:
        snapshots = recorded.agent.reporter.snapshots
        return {snapshot.segment_id for snapshot in [*snapshots._items]}

    application = Application(1, {"service_name": "shop"})
    application.attach()
    traced = WSGIEntry(application, app)
    # As many places as there are slow ones, and two for fast ones that a busy machine made slow.
    recorded.profile("/report", min_duration_threshold=THRESHOLD, max_sampling_count=SLOW + 2)
    with ThreadPoolExecutor(SLOW) as slow_clients, ThreadPoolExecutor(8) as fast_clients:
        # Some are over when the slow ones begin: when those are slow, these would have been so too, just before.
        fast_answers = [fast_clients.submit(ask, traced, "/fast") for _ in range(FAST // 2)]
        answers = [slow_clients.submit(ask, traced, "/slow") for _ in range(SLOW)]
        for _ in range(SLOW):
            are_slow.acquire()
        fast_answers += [fast_clients.submit(ask, traced, "/fast") for _ in range(FAST // 2)]
        assert [answer.result().body for answer in fast_answers] == [b"fast"] * FAST
        over.set()
        assert [answer.result().body for answer in answers] == [b"slow"] * SLOW
    sampled = {snapshot.segment_id for snapshot in recorded.snapshots}
    segments = recorded.segments
    assert len(segments) == FAST + SLOW
    were_slow = {each.segment_id for each in segments if dict(each.tags)["http.url"] == "/slow"}
    assert len(were_slow) == SLOW
    assert were_slow <= sampled
    # None is sampled before it is slow.
    begins = {each.segment_id: each.start for each in segments}
    assert all(each.time - begins[each.segment_id] >= THRESHOLD - 1 for each in recorded.snapshots)
    assert not recorded.agent.sampler.taken
