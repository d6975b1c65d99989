"""The loop by its effects on a backend: what arrives, how often, after which failures, and what is lost."""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from swprof_mw import native
from swprof_mw.config import Config
from swprof_mw.records import Finish, TaskCommand
from swprof_mw.reporter import protocol
from swprof_mw.reporter import reporter as reporter_module
from swprof_mw.reporter.backoff import Backoff
from swprof_mw.reporter.channel import Connection
from swprof_mw.reporter.reporter import Reporter
from tests.faulty import FINISH, KEEP_ALIVE, PROPERTIES, QUERY, SEGMENTS, SNAPSHOTS, Backend, black_hole, task_command
from tests.reports import Probe, segment, snapshot

Status = grpc.StatusCode
MakeReporter = Callable[..., Reporter]


def ids(backend: Backend) -> list[int]:
    """The numbers of the segments that a backend took, in their order."""
    return [int(each.traceSegmentId) for each in backend.segments()]


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend that listens."""
    with Backend() as started:
        yield started


@pytest.fixture
def reporter(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeReporter]:
    """Makes started reporters for ``backend``, of instances and settings, that flush often. All are stopped."""
    monkeypatch.setattr(reporter_module, "FLUSH_INTERVAL", 0.05)
    monkeypatch.setattr("swprof_mw.reporter.troubles._CALM", 500_000_000)
    made: list[Reporter] = []

    def make(*members: Probe, **settings: object) -> Reporter:
        given = {"backend_services": backend.address, **settings}
        new = Reporter(Config.load(given, environ={}))
        made.append(new)
        for member in members:
            new.join(member)
        new.start()
        return new

    yield make
    backend.heal()
    for each in made:
        each.stop(0.5)


# What is due, and when.


def test_an_instance_tells_its_properties_then_that_it_lives_then_asks_for_tasks(
    backend: Backend, reporter: MakeReporter
) -> None:
    reporter(Probe())
    backend.wait(lambda: len(backend.calls(QUERY)) == 1)
    assert [call.method for call in backend.received] == [PROPERTIES, KEEP_ALIVE, QUERY]
    properties, alive, query = (call.messages[0] for call in backend.received)
    assert (properties.service, properties.serviceInstance) == ("shop", "shop-1")
    assert [(pair.key, pair.value) for pair in properties.properties] == [("language", "python")]
    assert (alive.service, alive.serviceInstance) == ("shop", "shop-1")
    assert (query.service, query.serviceInstance, query.lastCommandTime) == ("shop", "shop-1", -1)


def test_properties_go_with_every_tenth_keep_alive(backend: Backend, reporter: MakeReporter) -> None:
    reporter(Probe(profile_active=False), heartbeat_period=0.1)
    backend.wait(lambda: len(backend.calls(PROPERTIES)) == 3)
    order = [call.method for call in backend.received]
    first, second, third = (index for index, method in enumerate(order) if method == PROPERTIES)
    assert first == 0
    assert order[first + 1 : second] == [KEEP_ALIVE] * 10
    assert order[second + 1 : third] == [KEEP_ALIVE] * 10


def test_keep_alives_come_at_their_period(backend: Backend, reporter: MakeReporter) -> None:
    reporter(Probe(), heartbeat_period=0.2)
    backend.wait(lambda: len(backend.calls(KEEP_ALIVE)) == 6)
    times = [call.at for call in backend.calls(KEEP_ALIVE)]
    between = sorted(later - earlier for earlier, later in itertools.pairwise(times))
    assert min(between) > 0.15
    assert between[len(between) // 2] < 0.35


def test_tasks_are_asked_for_at_the_interval_with_the_time_of_the_last_command(
    backend: Backend, reporter: MakeReporter
) -> None:
    probe = Probe()
    reporter(probe, profile_task_query_interval=0.2)
    backend.wait(lambda: len(backend.calls(QUERY)) == 2)
    probe.last_command_time = 77
    backend.wait(lambda: len(backend.calls(QUERY)) == 6)
    queries = backend.calls(QUERY)
    assert [call.messages[0].lastCommandTime for call in queries][-2:] == [77, 77]
    assert min(later.at - earlier.at for earlier, later in itertools.pairwise(queries)) > 0.15


def test_commands_reach_the_instance_that_asked(backend: Backend, reporter: MakeReporter) -> None:
    backend.commands["shop"] = [task_command("/cart")]
    shop, bank = Probe(), Probe("bank")
    reporter(shop, bank, profile_task_query_interval=0.1)
    backend.wait(lambda: len(shop.received) > 1 and len(bank.received) > 1)
    [command], first = shop.received[0]
    assert command.name == "ProfileTaskQuery"
    assert command.arguments["EndpointName"] == "/cart"
    assert first
    assert shop.received[1] == ([], False)
    assert bank.received[0] == ([], True)


def test_the_first_answered_poll_is_the_first(backend: Backend, reporter: MakeReporter) -> None:
    backend.fault(QUERY, status=Status.INTERNAL, times=2)
    probe = Probe()
    reporter(probe, profile_task_query_interval=0.1)
    backend.wait(lambda: len(probe.received) == 2)
    assert [first for _, first in probe.received] == [True, False]


def test_an_instance_that_takes_no_tasks_is_not_asked_for(backend: Backend, reporter: MakeReporter) -> None:
    reporter(Probe(profile_active=False), heartbeat_period=0.1, profile_task_query_interval=0.1)
    backend.wait(lambda: len(backend.calls(KEEP_ALIVE)) == 5)
    assert not backend.calls(QUERY, answered=False)


def test_an_instance_that_joins_later_is_reported_for_at_once(backend: Backend, reporter: MakeReporter) -> None:
    loop = reporter(Probe())
    backend.wait(lambda: len(backend.calls(QUERY)) == 1)
    loop.join(Probe("bank"))
    backend.wait(lambda: len(backend.calls(QUERY)) == 2, timeout=5)
    assert backend.messages(PROPERTIES)[1].service == "bank"


def test_tasks_begin_and_end_though_the_backend_is_silent(backend: Backend, reporter: MakeReporter) -> None:
    backend.stop()
    probe = Probe()
    reporter(probe)
    backend.wait(lambda: probe.turns >= 4)


# What is queued.


def test_segments_go_in_batches_of_one_message(backend: Backend, reporter: MakeReporter) -> None:
    loop = reporter()
    backend.stop()  # so that they wait together
    for number in range(1_100):
        loop.segments.add(segment(number))
    backend.start()
    backend.wait(lambda: loop.segments.sent == 1_100)
    assert ids(backend) == list(range(1_100))
    assert max(len(message.segments) for message in backend.messages(SEGMENTS)) == 500
    assert not backend.calls(protocol.COLLECT_SEGMENTS.method, answered=False)


def test_what_fills_a_quarter_of_the_queue_is_sent_at_once(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter_module, "FLUSH_INTERVAL", 30.0)
    loop = reporter(Probe(), trace_reporter_max_buffer_size=800)
    backend.wait(lambda: len(backend.calls(QUERY)) == 1)
    time.sleep(0.2)  # the turn that asked is over
    for number in range(199):
        loop.segments.add(segment(number))
    time.sleep(0.5)
    assert not backend.segments(), "what need not be sent yet"
    loop.segments.add(segment(199))
    backend.wait(lambda: len(backend.segments()) == 200, timeout=5)


def test_snapshots_are_streamed(backend: Backend, reporter: MakeReporter) -> None:
    loop = reporter()
    for number in range(300):
        assert loop.snapshots.add(snapshot(number))
    backend.wait(lambda: len(backend.messages(SNAPSHOTS)) == 300)
    assert [message.sequence for message in backend.messages(SNAPSHOTS)] == list(range(300))
    assert len(backend.calls(SNAPSHOTS)) < 10
    assert list(backend.messages(SNAPSHOTS)[0].stack.codeSignatures) == ["a", "b"]


def test_where_gevent_has_taken_the_threads_snapshots_go_one_by_one(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "patched", lambda: True)
    loop = reporter()
    for number in range(20):
        loop.snapshots.add(snapshot(number))
    backend.wait(lambda: len(backend.messages(SNAPSHOTS)) == 20)
    assert {len(call.messages) for call in backend.calls(SNAPSHOTS)} == {1}
    assert [message.sequence for message in backend.messages(SNAPSHOTS)] == list(range(20))


def test_a_full_queue_drops_the_newest_and_counts_it(backend: Backend, reporter: MakeReporter) -> None:
    backend.fault(hangs=True)
    loop = reporter(trace_reporter_max_buffer_size=10, profile_snapshot_transport_buffer_size=5)
    for number in range(25):
        loop.segments.add(segment(number))
    kept = [loop.snapshots.add(snapshot(number)) for number in range(8)]
    assert kept == [True] * 5 + [False] * 3
    assert (len(loop.segments), loop.segments.dropped) == (10, 15)
    assert (len(loop.snapshots), loop.snapshots.dropped) == (5, 3)
    backend.heal()
    backend.wait(lambda: len(backend.segments()) == 10)
    assert ids(backend) == list(range(10))


def test_what_was_dropped_stands_in_the_log_once_a_minute(
    backend: Backend, reporter: MakeReporter, caplog: pytest.LogCaptureFixture
) -> None:
    backend.fault(hangs=True, times=1)
    loop = reporter(Probe(), trace_reporter_max_buffer_size=10)
    for number in range(25):
        loop.segments.add(segment(number))
    backend.heal()
    backend.wait(lambda: loop.segments.sent == 10)
    loop.segments.add(segment())
    backend.wait(lambda: loop.segments.sent == 11)
    lost = [record.getMessage() for record in caplog.records if "lost" in record.getMessage()]
    assert len(lost) == 1
    assert "15 segments" in lost[0]


def test_finish_reports_are_sent_until_taken(backend: Backend, reporter: MakeReporter) -> None:
    backend.fault(FINISH, status=Status.UNAVAILABLE, times=3)
    loop = reporter()
    loop.report_finish(Finish("shop", "shop-1", "one"))
    loop.report_finish(Finish("shop", "shop-1", "two"))
    backend.wait(lambda: len(backend.calls(FINISH)) == 2)
    assert [message.taskId for message in backend.messages(FINISH)] == ["one", "two"]
    assert len(backend.calls(FINISH, answered=False)) == 5


def test_snapshots_go_before_the_report_that_their_task_has_ended(backend: Backend) -> None:
    loop = Reporter(Config.load({"backend_services": backend.address}, environ={}))
    loop.report_finish(Finish("shop", "shop-1", "one"))
    loop.snapshots.add(snapshot())
    loop.start()
    backend.wait(lambda: len(backend.calls(FINISH)) == 1)
    loop.stop(1.0)
    assert [call.method for call in backend.received] == [SNAPSHOTS, FINISH]


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_after_an_outage_too_all_else_goes_before_that_report(
    backend: Backend, reporter: MakeReporter, failures: int
) -> None:
    backend.fault(status=Status.UNAVAILABLE, times=failures)
    loop = reporter()
    loop.report_finish(Finish("shop", "shop-1", "one"))
    loop.snapshots.add(snapshot())
    loop.segments.add(segment())
    backend.wait(lambda: len(backend.calls(FINISH)) == 1)
    taken = [call.method for call in backend.received if call.answered]
    assert taken in ([SEGMENTS, SNAPSHOTS, FINISH], [SNAPSHOTS, SEGMENTS, FINISH])


# Failures of the backend as a whole.


def test_what_a_refused_connection_kept_arrives_in_its_order(backend: Backend, reporter: MakeReporter) -> None:
    backend.stop()
    loop = reporter(Probe())
    for number in range(50):
        loop.segments.add(segment(number))
    backend.wait(lambda: loop.last_error != "")
    assert (loop.segments.sent, len(loop.segments)) == (0, 50)
    for number in range(50, 100):
        loop.segments.add(segment(number))
    backend.start()
    backend.wait(lambda: loop.segments.sent == 100)
    assert ids(backend) == list(range(100))
    assert "UNAVAILABLE" in loop.last_error


def test_a_call_that_ends_in_the_middle_of_its_stream_is_made_again_whole(
    backend: Backend, reporter: MakeReporter
) -> None:
    backend.fault(SNAPSHOTS, status=Status.UNAVAILABLE, after=7, times=2)
    loop = reporter()
    for number in range(40):
        loop.snapshots.add(snapshot(number))
    backend.wait(lambda: loop.snapshots.sent == 40)
    assert [message.sequence for message in backend.messages(SNAPSHOTS)] == list(range(40))
    failed = [call for call in backend.calls(SNAPSHOTS, answered=False) if not call.answered]
    assert len(failed) == 2


def test_an_answer_that_is_slow_is_waited_for(backend: Backend, reporter: MakeReporter) -> None:
    backend.fault(SEGMENTS, delay=0.6)
    loop = reporter()
    loop.segments.add(segment())
    backend.wait(lambda: len(backend.calls(SEGMENTS, answered=False)) == 1)
    assert loop.segments.sent == 0
    backend.wait(lambda: loop.segments.sent == 1)
    assert ids(backend) == [0]


def test_one_line_tells_of_an_outage_and_one_of_its_end(
    backend: Backend, reporter: MakeReporter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "swprof_mw")
    loop = reporter(Probe(), Probe("bank"), heartbeat_period=0.1, profile_task_query_interval=0.1)
    backend.wait(lambda: len(backend.calls(KEEP_ALIVE)) > 4)
    assert not caplog.records
    backend.stop()
    loop.segments.add(segment())
    loop.snapshots.add(snapshot())
    time.sleep(1.5)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    backend.start()
    backend.wait(lambda: len(caplog.records) > 1)
    seen = len(backend.calls(QUERY))
    backend.wait(lambda: len(backend.calls(QUERY)) > seen + 4)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert backend.address in caplog.messages[0]
    assert "UNAVAILABLE" in caplog.messages[0] or "CANCELLED" in caplog.messages[0]  # a call was in flight


# Failures of single calls.


@pytest.mark.parametrize("status", [Status.UNIMPLEMENTED, Status.INTERNAL])
@pytest.mark.parametrize("method", [PROPERTIES, KEEP_ALIVE, QUERY, SEGMENTS, SNAPSHOTS, FINISH])
def test_a_call_that_is_refused_does_not_stop_the_others(
    backend: Backend, reporter: MakeReporter, method: str, status: grpc.StatusCode
) -> None:
    backend.fault(method, status=status)
    loop = reporter(Probe())
    loop.segments.add(segment())
    loop.snapshots.add(snapshot())
    loop.report_finish(Finish("shop", "shop-1", "one"))
    others = {PROPERTIES, KEEP_ALIVE, QUERY, SEGMENTS, SNAPSHOTS, FINISH} - {method}
    backend.wait(lambda: all(backend.calls(other) for other in others), timeout=5)
    backend.wait(lambda: len(backend.calls(method, answered=False)) >= 2)
    assert not backend.calls(method)
    backend.heal()
    backend.wait(lambda: bool(backend.calls(method)))


def test_a_refused_call_is_tried_ever_more_rarely(backend: Backend, reporter: MakeReporter) -> None:
    backend.fault(KEEP_ALIVE, status=Status.UNIMPLEMENTED)
    reporter(Probe(), heartbeat_period=0.1)
    backend.wait(lambda: len(backend.calls(KEEP_ALIVE, answered=False)) >= 5)
    times = [call.at for call in backend.calls(KEEP_ALIVE, answered=False)]
    assert times[4] - times[3] > 0.7 > times[1] - times[0]


def test_the_log_tells_of_a_refused_call_once_and_of_its_end(
    backend: Backend, reporter: MakeReporter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "swprof_mw")
    backend.fault(KEEP_ALIVE, status=Status.UNIMPLEMENTED)
    reporter(Probe(), Probe("bank"), heartbeat_period=0.1, profile_task_query_interval=0.1)
    backend.wait(lambda: len(backend.calls(KEEP_ALIVE, answered=False)) >= 8)
    [line] = caplog.messages
    assert "keepAlive" in line
    assert "UNIMPLEMENTED: as it was bidden" in line
    backend.heal()
    backend.wait(lambda: len(caplog.records) == 2)
    assert caplog.records[1].levelname == "INFO"


@pytest.mark.parametrize("fault", [{"status": Status.INTERNAL}, {"hangs": True}], ids=["refused", "hanging"])
def test_one_instance_whose_queries_fail_does_not_starve_the_others(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    monkeypatch.setattr("swprof_mw.reporter.channel.DEADLINE", 0.5)
    backend.fault(QUERY, concerns=lambda query: query.service == "bad", **fault)
    bad, good = Probe("bad"), Probe("good")
    loop = reporter(bad, good, profile_task_query_interval=0.2)
    loop.segments.add(segment())
    backend.wait(lambda: len(good.received) >= 3)
    backend.wait(lambda: loop.segments.sent == 1)
    assert not bad.received
    backend.heal()
    backend.wait(lambda: bool(bad.received))


def hurry(monkeypatch: pytest.MonkeyPatch, deadline: float, pause: float) -> None:
    """Calls have so many seconds, a connection that fails is tried again at once, and a job after its pause."""
    for module in ("channel", "jobs", "queues"):
        monkeypatch.setattr(f"swprof_mw.reporter.{module}.DEADLINE", deadline)
    monkeypatch.setattr("swprof_mw.reporter.channel._LONGEST_PAUSE", deadline)
    monkeypatch.setattr("swprof_mw.reporter.jobs.Backoff", lambda longest: Backoff(pause, pause, jitter=lambda: 1.0))


def test_a_query_that_hangs_gets_ever_less_time_and_then_all_of_it_again(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, deadline=0.8, pause=0.2)
    took: list[float] = []
    original = Connection.call

    def call(connection: Connection, what: Any, *args: Any) -> Any:
        began = time.monotonic()
        try:
            return original(connection, what, *args)
        finally:
            if what.method == QUERY:
                took.append(time.monotonic() - began)

    monkeypatch.setattr(Connection, "call", call)
    backend.fault(QUERY, hangs=True)
    reporter(Probe(), profile_task_query_interval=0.1)
    backend.wait(lambda: len(took) >= 5)
    assert took[:5] == pytest.approx([0.8, 0.4, 0.2, 0.1, 0.8], abs=0.09)


def test_segments_go_between_any_two_queries_that_hang(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, deadline=0.3, pause=0.1)
    backend.fault(QUERY, hangs=True)
    loop = reporter(*(Probe(f"shop {number}") for number in range(6)), profile_task_query_interval=0.1)
    while [call.method for call in backend.received].count(QUERY) < 8:
        loop.segments.add(segment())
        time.sleep(0.02)
    hanging = [call.method == QUERY for call in backend.received if call.method in (QUERY, SEGMENTS)]
    assert (True, True) not in itertools.pairwise(hanging)


def test_what_waits_goes_to_a_backend_that_hung_as_soon_as_the_call_is_given_up(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, deadline=1.0, pause=0.9)
    backend.fault(hangs=True)
    loop = reporter()
    loop.segments.add(segment())
    backend.wait(lambda: len(backend.calls(SEGMENTS, answered=False)) == 3)
    backend.heal(at_once=False)  # the third one goes on hanging
    healed = time.monotonic()
    backend.wait(lambda: bool(backend.calls(SEGMENTS)))
    assert time.monotonic() - healed < 1.6


def test_one_call_that_is_answered_again_is_enough_for_the_others_that_were_not(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, deadline=0.5, pause=3.0)
    loop = reporter(Probe(), profile_task_query_interval=0.1, heartbeat_period=0.1)
    backend.wait(lambda: len(backend.calls(QUERY)) == 1)
    backend.fault(hangs=True)
    loop.segments.add(segment())
    wanted = {KEEP_ALIVE, SEGMENTS, QUERY}
    backend.wait(lambda: wanted <= {call.method for call in backend.received if not call.answered})
    backend.heal(at_once=False)
    healed = time.monotonic()
    backend.wait(lambda: wanted <= {call.method for call in backend.received if call.answered and call.at > healed})
    again = [call.at for call in backend.received if call.answered and call.at > healed]
    assert again[2] - again[0] < 0.5


def test_an_instance_that_fails_inside_does_not_stop_the_loop(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Probe):
        def properties(self) -> list[tuple[str, str]]:
            raise KeyError("properties")

        def receive(self, commands: list[TaskCommand], first_poll: bool) -> None:
            raise KeyError("receive")

        def process_tasks(self) -> bool:
            raise KeyError("process_tasks")

    good = Probe("good")
    loop = reporter(Broken("broken"), good)
    loop.segments.add(segment())
    backend.wait(lambda: loop.segments.sent == 1)
    backend.wait(lambda: bool(good.received))
    assert good.turns


# Data that the backend, or the encoding, does not take.


def test_a_segment_refused_as_invalid_is_dropped_alone(backend: Backend, reporter: MakeReporter) -> None:
    backend.fault(
        SEGMENTS,
        status=Status.INVALID_ARGUMENT,
        concerns=lambda message: any(each.operationName == "poison" for each in _spans(message)),
    )
    backend.stop()
    loop = reporter()
    for number in range(100):
        loop.segments.add(segment(number, "poison" if number in (33, 34) else "/"))
    backend.start()
    backend.wait(lambda: loop.segments.sent == 98)
    assert sorted(ids(backend)) == [number for number in range(100) if number not in (33, 34)]
    assert ids(backend) == sorted(ids(backend))
    assert (loop.segments.refused, len(loop.segments)) == (2, 0)


def test_a_batch_too_large_is_halved_and_grows_again(backend: Backend, reporter: MakeReporter) -> None:
    backend.fault(SEGMENTS, status=Status.RESOURCE_EXHAUSTED, concerns=lambda message: len(message.segments) > 30)
    backend.stop()
    loop = reporter()
    for number in range(200):
        loop.segments.add(segment(number))
    backend.start()
    backend.wait(lambda: loop.segments.sent == 200)
    assert ids(backend) == list(range(200))
    assert loop.segments.refused == 0
    backend.heal()
    backend.stop()
    for number in range(200, 400):
        loop.segments.add(segment(number))
    backend.start()
    backend.wait(lambda: loop.segments.sent == 400)
    assert ids(backend) == list(range(400))
    assert max(len(call.messages[0].segments) for call in backend.calls(SEGMENTS)) > 30


def test_a_single_message_too_large_for_ever_is_dropped_after_a_few_tries(
    backend: Backend, reporter: MakeReporter
) -> None:
    backend.fault(
        SNAPSHOTS, status=Status.RESOURCE_EXHAUSTED, concerns=lambda message: message.stack.codeSignatures[0] == "huge"
    )
    loop = reporter()
    loop.snapshots.add(snapshot(0, stack=("huge",)))
    loop.snapshots.add(snapshot(1))
    backend.wait(lambda: loop.snapshots.sent == 1)
    assert [message.sequence for message in backend.messages(SNAPSHOTS)] == [1]
    assert loop.snapshots.refused == 1


def test_a_backend_that_is_short_of_something_for_a_while_loses_nothing(
    backend: Backend, reporter: MakeReporter
) -> None:
    backend.fault(SEGMENTS, status=Status.RESOURCE_EXHAUSTED, times=8)
    loop = reporter()
    for number in range(100):
        loop.segments.add(segment(number))
    backend.wait(lambda: loop.segments.sent == 100)
    assert ids(backend) == list(range(100))


@pytest.mark.parametrize("status", [Status.RESOURCE_EXHAUSTED, Status.INTERNAL, Status.UNKNOWN, Status.ABORTED])
def test_nothing_is_dropped_for_what_a_backend_that_takes_nothing_says_of_it(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch, status: grpc.StatusCode
) -> None:
    hurry(monkeypatch, deadline=4.0, pause=0.01)
    backend.fault(status=status)
    loop = reporter()
    for number in range(30):
        loop.segments.add(segment(number))
        loop.snapshots.add(snapshot(number))
    loop.report_finish(Finish("shop", "shop-1", "one"))
    backend.wait(lambda: len(backend.calls(SEGMENTS, answered=False)) > 40)
    backend.heal()
    backend.wait(lambda: loop.segments.sent == 30 and loop.snapshots.sent == 30 and loop.finishes.sent == 1)
    assert sorted(ids(backend)) == list(range(30))
    assert sorted(message.sequence for message in backend.messages(SNAPSHOTS)) == list(range(30))


@pytest.mark.parametrize("status", [Status.RESOURCE_EXHAUSTED, Status.INTERNAL])
def test_messages_refused_by_themselves_are_dropped_as_soon_as_others_are_taken(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch, status: grpc.StatusCode
) -> None:
    hurry(monkeypatch, deadline=4.0, pause=0.01)
    backend.fault(
        SEGMENTS,
        status=status,
        concerns=lambda message: any(each.operationName == "poison" for each in _spans(message)),
    )
    loop = reporter()
    for number in range(3):
        loop.segments.add(segment(number, "poison"))
    backend.wait(lambda: len(backend.calls(SEGMENTS, answered=False)) > 20)
    assert (len(loop.segments), loop.segments.refused) == (3, 0)
    for number in range(3, 6):
        loop.segments.add(segment(number))
    backend.wait(lambda: loop.segments.sent == 3 and loop.segments.refused == 3)
    assert sorted(set(ids(backend))) == [3, 4, 5]
    assert len(loop.segments) == 0


def test_a_message_that_is_taken_after_all_is_not_dropped(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, deadline=4.0, pause=0.01)
    backend.stop()
    loop = reporter()
    for number in range(3):
        loop.segments.add(segment(number, "late" if number == 0 else "/"))
    # Once in a batch of three, four times by itself: then another one is taken, and at the next try this one too.
    backend.fault(
        SEGMENTS,
        status=Status.RESOURCE_EXHAUSTED,
        concerns=lambda message: any(each.operationName == "late" for each in _spans(message)),
        times=5,
    )
    backend.start()
    backend.wait(lambda: loop.segments.sent == 3)
    assert sorted(ids(backend)) == [0, 1, 2]
    assert loop.segments.refused == 0


@pytest.mark.parametrize("status", [Status.INVALID_ARGUMENT, Status.RESOURCE_EXHAUSTED, Status.INTERNAL])
def test_a_finish_report_is_never_given_up(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch, status: grpc.StatusCode
) -> None:
    hurry(monkeypatch, deadline=4.0, pause=0.01)
    backend.fault(FINISH, status=status, concerns=lambda message: message.taskId == "one")
    loop = reporter()
    for task in ("one", "two", "three"):
        loop.report_finish(Finish("shop", "shop-1", task))
    backend.wait(lambda: loop.finishes.sent == 2)
    assert [message.taskId for message in backend.messages(FINISH)] == ["two", "three"]
    tried = len(backend.calls(FINISH, answered=False))
    backend.wait(lambda: len(backend.calls(FINISH, answered=False)) > tried + 20)
    assert len(loop.finishes) == 1
    backend.heal()
    backend.wait(lambda: loop.finishes.sent == 3)
    assert [message.taskId for message in backend.messages(FINISH)][-1] == "one"


def test_a_record_that_cannot_be_encoded_is_left_out_and_counted(backend: Backend, reporter: MakeReporter) -> None:
    loop = reporter()
    loop.segments.add(segment(0))
    loop.segments.add(segment(1, start=1 << 70))
    loop.segments.add(segment(2, service="\udcff"))
    loop.segments.add(segment(3, operation="/\udcff"))  # a path may well be so: it is mended
    loop.snapshots.add(snapshot(0, sequence=1 << 40))
    loop.snapshots.add(snapshot(1))
    backend.wait(lambda: loop.segments.sent == 2 and loop.snapshots.sent == 1)
    assert ids(backend) == [0, 3]
    assert backend.segments()[1].spans[0].operationName == "/?"
    assert (loop.segments.refused, loop.snapshots.refused) == (2, 1)


def test_a_batch_too_slow_for_the_deadline_is_halved(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swprof_mw.reporter.channel.DEADLINE", 0.3)
    backend.fault(SEGMENTS, hangs=True, concerns=lambda message: len(message.segments) > 60)
    loop = reporter()
    for number in range(200):
        loop.segments.add(segment(number))
    backend.wait(lambda: loop.segments.sent == 200)
    assert ids(backend) == list(range(200))


# The end.


def test_stop_sends_what_is_queued(backend: Backend, reporter: MakeReporter) -> None:
    loop = reporter(Probe())
    backend.wait(lambda: len(backend.calls(QUERY)) == 1)
    for number in range(300):
        loop.segments.add(segment(number))
        loop.snapshots.add(snapshot(number))
    loop.report_finish(Finish("shop", "shop-1", "one"))
    began = time.monotonic()
    loop.stop(2.0)
    assert time.monotonic() - began < 2.0
    assert (len(backend.segments()), len(backend.messages(SNAPSHOTS)), len(backend.calls(FINISH))) == (300, 300, 1)
    assert len(loop.segments) + len(loop.snapshots) + len(loop.finishes) == 0


def test_stop_sends_what_is_queued_where_no_thread_can_be_started(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = reporter(Probe())
    backend.wait(lambda: len(backend.calls(QUERY)) == 1)

    def refuse(*_: object) -> int:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(native, "start_new_thread", refuse)
    for number in range(100):
        loop.snapshots.add(snapshot(number))
    loop.stop(2.0)
    assert [message.sequence for message in backend.messages(SNAPSHOTS)][-1] == 99
    assert loop.snapshots.sent == 100


def test_stop_tries_again_where_the_connection_has_died(backend: Backend, reporter: MakeReporter) -> None:
    loop = reporter(Probe())
    backend.wait(lambda: len(backend.calls(QUERY)) == 1)
    backend.fault(SEGMENTS, status=Status.UNAVAILABLE, times=1)
    loop.segments.add(segment())
    loop.stop(2.0)
    assert ids(backend) == [0]


def test_stop_tries_every_address(backend: Backend, reporter: MakeReporter) -> None:
    with black_hole() as silent:
        loop = reporter(backend_services=f"{silent},{backend.address}")
        loop.segments.add(segment())
        time.sleep(0.3)  # it hangs at the silent one
        began = time.monotonic()
        loop.stop(2.0)
        assert time.monotonic() - began < 2.0
    assert ids(backend) == [0]


@pytest.mark.parametrize("how", ["refused", "hanging", "silent"])
def test_stop_comes_back_in_time_whatever_the_backend_does(
    backend: Backend, reporter: MakeReporter, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    with black_hole() as silent:
        loop = reporter(Probe(), backend_services=silent if how == "silent" else backend.address)
        if how == "refused":
            backend.stop()
        backend.fault(hangs=True)
        loop.segments.add(segment())
        time.sleep(0.2)
        began = time.monotonic()
        loop.stop(1.0)
        assert time.monotonic() - began < 1.3
    assert len(loop.segments) == 0
    assert loop.segments.dropped == 1
    assert any("1 segments" in message and "lost" in message for message in caplog.messages)


def test_stop_without_start_and_twice_returns_at_once(backend: Backend) -> None:
    loop = Reporter(Config.load({"backend_services": backend.address}, environ={}))
    loop.stop(1.0)
    started = Reporter(Config.load({"backend_services": backend.address}, environ={}))
    started.start()
    started.start()
    started.stop(1.0)
    began = time.monotonic()
    started.stop(1.0)
    assert time.monotonic() - began < 0.5
    assert not backend.received


def test_a_hold_waits_for_the_call_in_flight_and_keeps_others_off(backend: Backend, reporter: MakeReporter) -> None:
    backend.fault(KEEP_ALIVE, delay=0.4)
    loop = reporter(Probe(), heartbeat_period=0.1, profile_task_query_interval=0.1)
    backend.wait(lambda: len(backend.calls(KEEP_ALIVE, answered=False)) == 1)
    assert not loop.hold(0.05)  # it takes too long
    assert loop.hold(5.0)
    seen = len(backend.received)
    time.sleep(0.4)
    assert len(backend.received) == seen
    loop.resume()
    backend.wait(lambda: len(backend.received) > seen + 2)


def _spans(message: Any) -> list[Any]:
    return [span for each in message.segments for span in each.spans]


def test_an_idle_loop_sleeps_until_there_is_a_reason(backend: Backend, reporter: MakeReporter) -> None:
    probe = Probe()
    reporter(probe, heartbeat_period=1.0, profile_task_query_interval=600)
    backend.wait(lambda: bool(backend.calls(KEEP_ALIVE) and backend.calls(QUERY)))
    time.sleep(0.2)
    heard, turns = len(backend.calls(KEEP_ALIVE)), probe.turns
    backend.wait(lambda: len(backend.calls(KEEP_ALIVE)) >= heard + 3, timeout=10)
    assert probe.turns - turns <= 4, "a heartbeat takes one turn, and looking for work took twenty a second"


class _Tasked(Probe):
    """An instance that gets a task with the first answer."""

    def receive(self, commands: list[TaskCommand], first_poll: bool) -> None:
        super().receive(commands, first_poll)
        self.has_task = True


def test_a_task_that_comes_with_an_answer_begins_and_ends_in_time(backend: Backend, reporter: MakeReporter) -> None:
    probe = _Tasked()
    reporter(probe, heartbeat_period=600, profile_task_query_interval=600)
    backend.wait(lambda: bool(probe.received))
    turns = probe.turns
    time.sleep(1.0)
    assert probe.turns - turns >= 10
    probe.has_task = False
    time.sleep(0.3)
    turns = probe.turns
    time.sleep(0.5)
    assert probe.turns == turns


class _Alarm:
    """A loop's alarm that counts how often it is waited for."""

    def __init__(self, lock: Any) -> None:
        self.waits = 0
        self._lock = lock
        self.release = lock.release

    def acquire(self, blocking: bool, timeout: float) -> bool:
        self.waits += 1
        return bool(self._lock.acquire(blocking, timeout))


def test_an_idle_loop_does_not_wake_up(backend: Backend, reporter: MakeReporter) -> None:
    loop = reporter(heartbeat_period=600, profile_task_query_interval=600)
    loop._wake = alarm = _Alarm(loop._wake)
    loop.join(Probe())
    backend.wait(lambda: len(backend.calls(QUERY)) == 1)
    time.sleep(1.5)  # of 0.05 s each: more than it may take to become idle
    waits = alarm.waits
    time.sleep(1.0)
    assert alarm.waits == waits > 0


def test_what_is_queued_wakes_a_loop_that_sleeps(backend: Backend, reporter: MakeReporter) -> None:
    loop = reporter(Probe(), heartbeat_period=600, profile_task_query_interval=600)
    backend.wait(lambda: len(backend.calls(QUERY)) == 1)
    for number in range(1, 6):
        time.sleep(0.3)  # of 0.05 s each: it sleeps
        loop.segments.add(segment(number))
        backend.wait(lambda: len(backend.segments()) == loop.segments.sent == number, timeout=2)  # noqa: B023
    time.sleep(0.3)
    loop.snapshots.add(snapshot(1))
    backend.wait(lambda: len(backend.messages(SNAPSHOTS)) == 1, timeout=2)


def test_nothing_stays_behind_that_is_queued_while_the_loop_goes_to_sleep(
    backend: Backend, reporter: MakeReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter_module, "FLUSH_INTERVAL", 0.0005)
    monkeypatch.setattr("swprof_mw.reporter.agenda._SHORTEST_WAIT", 0.0)
    loop = reporter(Probe(), heartbeat_period=600, profile_task_query_interval=600)
    backend.wait(lambda: len(backend.calls(QUERY)) == 1)

    def add(first: int) -> None:
        for number in range(first, first + 500):
            loop.segments.add(segment(number))
            time.sleep(random.random() * 0.002)

    adding = [threading.Thread(target=add, args=(first,)) for first in (0, 500)]
    for each in adding:
        each.start()
    for each in adding:
        each.join()
    backend.wait(lambda: sorted(ids(backend)) == list(range(1_000)), timeout=2)
