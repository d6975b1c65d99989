"""The embedded collector does no harm where it runs: how much it takes and keeps, and what bad messages do."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
import tracemalloc
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest

from swprof_mw.collector import checks, receiver
from swprof_mw.collector.records import Instance, Segment, Snapshot, Span, Task, TaskLog
from swprof_mw.collector.server import Collector
from swprof_mw.collector.store import Store
from swprof_mw.collector.streams import Streams
from swprof_mw.query.client import OapClient
from swprof_mw.reporter import protocol
from swprof_mw.reporter.reporter import Reporter
from tests.doubles import wait_until
from tests.test_collector import Agent
from tests.test_collector_safety import config, reported

BAD = grpc.StatusCode.INVALID_ARGUMENT
FULL = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector(0, 0) as started:
        yield started


@pytest.fixture
def agent(collector: Collector) -> Iterator[Agent]:
    """Of a service of its own: the collector is all tests'."""
    with grpc.insecure_channel(collector.backend) as channel:
        yield Agent(channel, f"service-{uuid.uuid4().hex[:8]}")


# Bad messages


def code_of(call: protocol.Call, channel: grpc.Channel, request: Any) -> tuple[grpc.StatusCode, str]:
    """Status and details of a call that is refused."""
    with pytest.raises(grpc.RpcError) as raised:
        call.stub(channel)(request, timeout=10)
    error: Any = raised.value
    return error.code(), error.details()


def snapshot(number: int = 0, segment: str = "s", **changes: Any) -> Any:
    """A good message, with ``changes``."""
    stack = protocol.ThreadStack(codeSignatures=["/e", "view"])
    fields = {"taskId": "t", "traceSegmentId": segment, "sequence": number, "time": 5, "stack": stack, **changes}
    return protocol.ThreadSnapshot(**fields)


SPANS = [protocol.SpanObject(spanId=number) for number in range(checks.MOST_SPANS + 1)]
PAIRS = [protocol.KeyStringValuePair(key="k", value="v")] * (checks.MOST_PAIRS + 1)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"traceSegmentId": ""}, "missing: traceSegmentId"),
        ({"traceId": "", "service": ""}, "missing: traceId, service"),
        ({"serviceInstance": ""}, "missing: serviceInstance"),
        ({"spans": [protocol.SpanObject(startTime=-1)]}, "not a time in ms since the epoch: -1"),
        ({"spans": [protocol.SpanObject(endTime=2**62)]}, f"not a time in ms since the epoch: {2**62}"),
        ({"spans": [protocol.SpanObject(logs=[protocol.Log(time=-5)])]}, "not a time in ms since the epoch: -5"),
        ({"spans": SPANS}, "more than 500 spans"),
        ({"spans": [protocol.SpanObject(tags=PAIRS)]}, "more than 200 tags"),
        ({"spans": [protocol.SpanObject(logs=[protocol.Log()] * 201)]}, "more than 200 logs"),
        ({"spans": [protocol.SpanObject(logs=[protocol.Log(data=PAIRS)])]}, "more than 200 entries of a log"),
        ({"spans": [protocol.SpanObject(operationName="x" * 1024 * 1024)]}, "longer than 1048576 bytes"),
    ],
)
def test_segments_that_are_refused(agent: Agent, collector: Collector, changes: dict[str, Any], why: str) -> None:
    bad = agent.segment(agent.span(0, 1, "/bad"))
    for name, value in changes.items():
        bad.ClearField(name)
        if value:
            bad.MergeFrom(protocol.SegmentObject(**{name: value}))
    batch = [agent.segment(agent.span(0, 1, "/before")), bad, agent.segment(agent.span(0, 1, "/after"))]
    collection = protocol.SegmentCollection(segments=batch)
    told = BAD, f"1 of 3 refused, the others were kept: {why}"
    assert code_of(protocol.COLLECT_SEGMENTS_IN_SYNC, agent.channel, collection) == told
    assert code_of(protocol.COLLECT_SEGMENTS, agent.channel, iter(batch)) == told
    assert OapClient(collector.url).endpoints(agent.service) == ["/before", "/after"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"taskId": ""}, "missing: taskId"),
        ({"traceSegmentId": ""}, "missing: traceSegmentId"),
        ({"sequence": -1}, "sequence is negative: -1"),
        ({"time": -1}, "not a time in ms since the epoch: -1"),
        ({"stack": protocol.ThreadStack()}, "the stack is empty"),
        ({"stack": protocol.ThreadStack(codeSignatures=["x" * 1024 * 1024])}, "longer than 1048576 bytes"),
    ],
)
def test_snapshots_that_are_refused(agent: Agent, collector: Collector, changes: dict[str, Any], why: str) -> None:
    identifier = uuid.uuid4().hex
    stream = [snapshot(0, identifier), snapshot(1, **{"segment": identifier, **changes}), snapshot(2, identifier)]
    told = BAD, f"1 of 3 refused, the others were kept: {why}"
    assert code_of(protocol.COLLECT_SNAPSHOT, agent.channel, iter(stream)) == told
    assert [one.sequence for one in collector.store.snapshots(identifier)] == [0, 2]


@pytest.mark.parametrize(
    ("call", "message", "why"),
    [
        (protocol.KEEP_ALIVE, protocol.InstancePingPkg(service="s"), "missing: serviceInstance"),
        (protocol.REPORT_INSTANCE_PROPERTIES, protocol.InstanceProperties(), "missing: service, serviceInstance"),
        (protocol.REPORT_TASK_FINISH, protocol.ProfileTaskFinishReport(service="s"), "missing: serviceInstance"),
    ],
    ids=lambda value: getattr(value, "method", ""),
)
def test_other_messages_that_are_refused(agent: Agent, call: protocol.Call, message: Any, why: str) -> None:
    assert code_of(call, agent.channel, message) == (BAD, why)


def test_what_is_no_message_is_refused_by_itself(agent: Agent, collector: Collector) -> None:
    chance = random.Random(7)
    identifier = uuid.uuid4().hex
    junk = [chance.randbytes(chance.randint(1, 300)) for _ in range(50)]
    good = [snapshot(number, identifier).SerializeToString() for number in range(51)]
    stream = [good[0], *(data for pair in zip(junk, good[1:], strict=True) for data in pair)]
    code, details = code_of(protocol.COLLECT_SNAPSHOT, agent.channel, iter(stream))
    assert code is BAD
    assert details.startswith("50 of 101 refused, the others were kept: ")
    assert len(collector.store.snapshots(identifier)) == 51
    for call in (protocol.KEEP_ALIVE, protocol.COLLECT_SEGMENTS_IN_SYNC, protocol.GET_PROFILE_TASK_COMMANDS):
        assert code_of(call, agent.channel, b"\xff\xff\xff")[0] is BAD
    agent.keep_alive()
    assert agent.service in OapClient(collector.url).services()


def test_a_message_that_is_too_long_is_refused_and_others_are_not(agent: Agent, collector: Collector) -> None:
    long = protocol.SegmentCollection(
        segments=[agent.segment(agent.span(0, 1, "x" * 1000)) for _ in range(11)],
    )
    assert len(long.SerializeToString()) < receiver.LONGEST_MESSAGE
    long.segments[0].spans[0].operationName = "x" * receiver.LONGEST_MESSAGE
    assert code_of(protocol.COLLECT_SEGMENTS_IN_SYNC, agent.channel, long)[0] is FULL
    agent.request(0, 1)
    assert OapClient(collector.url).endpoints(agent.service) == ["/e"]


def test_our_agent_loses_the_bad_one_only(collector: Collector) -> None:
    service = f"service-{uuid.uuid4().hex[:8]}"
    reporter = Reporter(config(collector.grpc_port))
    reporter.start()
    for number in range(300):
        reporter.segments.add(reported(service, f"{service}-{number}", trace_id="" if number == 123 else "t"))
    wait_until(lambda: not len(reporter.segments))
    reporter.stop(2.0)
    assert (reporter.segments.sent, reporter.segments.refused, reporter.segments.dropped) == (299, 1, 0)
    kept = {one.segment_id for one in collector.store.segments() if one.service == service}
    assert kept == {f"{service}-{number}" for number in range(300) if number != 123}


def test_what_is_refused_is_logged_once(
    agent: Agent, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swprof_mw.failures._last", {})
    for _ in range(3):
        code_of(protocol.KEEP_ALIVE, agent.channel, protocol.InstancePingPkg(service="s"))
    told = "the collector refuses what an agent sends with keepAlive: missing: serviceInstance"
    assert caplog.messages == [told]


# Streams


@contextlib.contextmanager
def receiving(streams: Streams) -> Iterator[tuple[grpc.Channel, Store]]:
    """The agents' side alone, with these bounds."""
    store = Store()
    server = receiver.server(store, streams=streams)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel, store
    finally:
        server.stop(0).wait()


class Open:
    """A stream of one snapshot that stays open."""

    def __init__(self, channel: grpc.Channel, store: Store, name: str) -> None:
        self._end = threading.Event()
        self.future: Any = channel.stream_unary(
            protocol.COLLECT_SNAPSHOT.path, request_serializer=protocol.ThreadSnapshot.SerializeToString
        ).future(self._messages(name), timeout=20)
        wait_until(lambda: store.snapshots(name) or self.future.done())

    def _messages(self, name: str) -> Iterator[Any]:
        yield snapshot(0, name)
        self._end.wait(20)
        yield snapshot(1, name)

    def end(self) -> grpc.StatusCode:
        """Send the last message, and see how it ended."""
        self._end.set()
        code: grpc.StatusCode = self.future.code()
        return code


def test_so_many_streams_are_open_at_once() -> None:
    with receiving(Streams(most=2, silent=60)) as (channel, store):
        first, second, third = (Open(channel, store, name) for name in "abc")
        assert third.end() is FULL
        assert first.end() is second.end() is grpc.StatusCode.OK
        assert Open(channel, store, "d").end() is grpc.StatusCode.OK
        assert {name: len(store.snapshots(name)) for name in "abcd"} == {"a": 2, "b": 2, "c": 0, "d": 2}


def test_a_silent_stream_makes_room_and_what_it_brought_stays() -> None:
    with receiving(Streams(most=2, silent=0.2)) as (channel, store):
        silent, busy = Open(channel, store, "a"), Open(channel, store, "b")
        time.sleep(0.3)
        later = Open(channel, store, "c")
        assert later.end() is grpc.StatusCode.OK
        assert silent.end() is grpc.StatusCode.CANCELLED
        assert busy.end() is grpc.StatusCode.OK
        assert [len(store.snapshots(name)) for name in "abc"] == [1, 2, 2]


def test_a_stream_has_so_many_messages() -> None:
    with receiving(Streams(messages=10)) as (channel, store):
        stream = iter([snapshot(number) for number in range(11)])
        code, details = code_of(protocol.COLLECT_SNAPSHOT, channel, stream)
        assert (code, details) == (FULL, "more than 10 messages in a stream")
        assert len(store.snapshots("s")) == 10
        protocol.COLLECT_SNAPSHOT.stub(channel)(iter([snapshot(number, "u") for number in range(10)]), timeout=10)
        assert len(store.snapshots("u")) == 10


def test_streams_leave_room_for_other_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "WORKERS", 4)
    with receiving(Streams(most=3, silent=60)) as (channel, store):
        held = [Open(channel, store, name) for name in "abc"]
        Agent(channel, "shop").keep_alive()
        assert [one.name for one in store.services()] == ["shop"]
        assert [one.end() for one in held] == [grpc.StatusCode.OK] * 3


def test_calls_beyond_the_threads_do_not_queue_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "WORKERS", 3)
    with receiving(Streams(most=3, silent=60)) as (channel, store):
        held = [Open(channel, store, name) for name in "abc"]
        ping = protocol.InstancePingPkg(service="shop", serviceInstance="one")
        assert code_of(protocol.KEEP_ALIVE, channel, ping)[0] is FULL
        assert [one.end() for one in held] == [grpc.StatusCode.OK] * 3
        wait_until(lambda: keeps_alive(channel, ping))


def keeps_alive(channel: grpc.Channel, ping: Any) -> bool:
    """Whether the call is answered now."""
    try:
        protocol.KEEP_ALIVE.stub(channel)(ping, timeout=10)
    except grpc.RpcError:
        return False
    return True


# The store's size


def kept_segment(identifier: str, service: str = "shop", text: str = "") -> Segment:
    """A segment of one span with a tag."""
    span = Span(0, -1, 0, 1, "/e", "Entry", "Http", tags=(("key", text),))
    return Segment("trace", identifier, service, "one", (span,))


def kept_snapshot(identifier: str, number: int, stack: tuple[str, ...] = ("/e",)) -> Snapshot:
    """A snapshot of the task ``t``."""
    return Snapshot("t", identifier, number, number, stack)


def filled(store: Store, megabytes: int) -> int:
    """Put in so much of each kind, no two alike; returns the bytes that are held after it: SQLite's and Python's."""
    chance = random.Random(3)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(megabytes * 8):
            text = chance.randbytes(32 * 1024).hex()
            store.add_segment(kept_segment(f"a{number}", f"s{number % 50}", text), number)
            pieces = tuple(text[at : at + 256] for at in range(0, len(text), 256))
            store.add_snapshot(kept_snapshot(f"b{number}", 0, pieces))
            store.add_segment(kept_segment(f"b{number}", f"s{number % 50}", text[::-1]), number)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before + store.used


def test_it_holds_no_more_bytes_than_it_says() -> None:
    megabyte = 1024 * 1024
    size = 4 * megabyte
    held = filled(Store(size=size), megabytes=24)
    assert size < held < 2.5 * size


def test_the_oldest_segments_of_all_go_when_they_are_too_large() -> None:
    store = Store(size=10 * kept_segment("x", text="y" * 5000).weight)
    for number in range(12):
        store.add_segment(kept_segment(str(number), f"s{number % 3}", "y" * 5000), number)
    assert [one.segment_id for one in store.segments()] == [str(number) for number in range(2, 12)]


def test_the_oldest_profile_goes_whole_when_they_are_too_large() -> None:
    store = Store(size=60_000)
    for name in "abc":
        for number in range(2):
            store.add_snapshot(kept_snapshot(name, number, (f"{name}{number}" * 5000,)))
    assert [len(store.snapshots(name)) for name in "abc"] == [0, 2, 2]


def test_a_profile_that_fills_the_store_alone_ends_there() -> None:
    store = Store(size=60_000)
    for number in range(9):
        store.add_snapshot(kept_snapshot("a", number, (f"{number}" * 10_000,)))
    assert 3 <= len(store.snapshots("a")) < 9
    store.add_segment(kept_segment("a", text="y" * 60_000), 0)
    assert store.segments() == []
    store.add_segment(kept_segment("a", text="y"), 0)
    assert [one.segment_id for one in store.profiled("t")] == ["a"]


def test_equal_stacks_take_next_to_nothing() -> None:
    store = Store(size=100_000)
    for number in range(200):
        store.add_snapshot(kept_snapshot("a", number, ("x" * 20_000, f"line {number % 2}", *map(str, range(100)))))
    assert len(store.snapshots("a")) == 200
    assert len({id(one.stack) for one in store.snapshots("a")}) == 2
    assert len({id(one.stack[0]) for one in store.snapshots("a")}) == 1


def test_a_segment_that_comes_again_counts_once() -> None:
    weight = kept_segment("x", text="y" * 5000).weight
    store = Store(size=2 * weight)
    store.add_segment(kept_segment("x", text="y" * 5000), 0)
    for _ in range(10):
        store.add_segment(kept_segment("z", text="y" * 5000), 0)
    assert [one.segment_id for one in store.segments()] == ["x", "z"]
    store.add_snapshot(kept_snapshot("x", 0))
    store.add_segment(kept_segment("x", text="y" * 5000), 0)
    assert sorted(one.segment_id for one in store.segments()) == ["x", "z"]


def test_a_service_with_too_many_names_loses_them_and_others_lose_none() -> None:
    store = Store(names=50)  # 1,000 instances and endpoints in all
    store.add_segment(kept_segment("mine", "shop"), 0)
    for number, other in itertools.product(range(50), range(15)):
        service = f"s{other}"
        store.seen(service, f"i{number}", number)
        store.add_segment(replace(kept_segment(f"{service}-{number}", service), spans=(named(f"/{number}"),)), number)
    assert store.instances("shop") == [Instance("shop", "one", 0, 0)]
    assert [one.segment_id for one in store.segments() if one.service == "shop"] == ["mine"]
    every = [*(one.name for one in store.services())]
    assert sum(len(store.instances(name)) + len(store.endpoints(name)) for name in every) <= 1_000
    assert {one.service for one in store.segments()} <= set(every)


def named(endpoint: str) -> Span:
    """An entry span."""
    return Span(0, -1, 0, 1, endpoint, "Entry", "Http")


def test_a_service_that_is_forgotten_takes_its_segments_along() -> None:
    store = Store(names=2)
    for name in "abc":
        store.add_segment(kept_segment(name, name), 0)
    assert [one.name for one in store.services()] == ["b", "c"]
    assert [one.segment_id for one in store.segments()] == ["b", "c"]


@pytest.mark.parametrize(("length", "told", "kept"), [(5, 5, (100,)), (1000, 500, (30, 31))])
def test_an_instance_has_so_many_properties_of_such_a_length(
    agent: Agent, collector: Collector, length: int, told: int, kept: tuple[int, ...]
) -> None:
    for number in range(0, 300, 50):
        agent.properties(*((f"k{number + more}", "v" * length) for more in range(50)))
    [found] = collector.store.instances(agent.service)
    assert len(found.properties) in kept  # from Python 3.12 on a text is 8 bytes smaller
    assert {len(value) for name, value in found.properties if name != "ipv4s"} == {told}
    assert found.properties[-1][0] == "k299"


def test_tasks_and_logs_are_bounded_over_all_services() -> None:
    store = Store(names=30)  # 600 logs in all
    for number in range(40):
        task = store.add_task(Task(f"c2hvc{number}", "/e", 0, 1, 0, 10, 5, number))
        assert task is not None
        for _ in range(30):
            store.add_log(TaskLog(task.id, "shop", "one", "NOTIFIED", number))
    assert [one.create_time for one in store.tasks()] == list(range(10, 40))
    assert [len(store.logs(f"{number}_c2hvc{number}")) for number in range(40)] == [0] * 20 + [30] * 20
