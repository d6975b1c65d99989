"""Records as messages: each field where it belongs, and other threads let in while many are encoded."""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytest

from swprof_mw import failures
from swprof_mw.records import Finish, Reference, Segment, Snapshot, TaskCommand
from swprof_mw.reporter import encode, protocol
from swprof_mw.reporter.known import Segments, Snapshots

SEGMENT = Segment(
    trace_id="trace",
    segment_id="segment",
    service="shop",
    instance="shop-1",
    operation="/users/<int:uid>",
    start=1_700_000_000_000,
    end=1_700_000_000_250,
    peer="10.0.0.1:5000",
    component=7001,
    is_error=True,
    tags=(("http.method", "GET"), ("http.url", "/users/7"), ("http.status_code", "500")),
    log=(("event", "error"), ("error.kind", "builtins.KeyError")),
    reference=Reference("trace", "parent", 3, "web", "web-1", "/start", "shop:80"),
    skip_analysis=True,
)


def decoded(record: Segment) -> Any:
    """The segment as a backend reads it."""
    [data] = encode.encoded([record], encode.whole(encode.collection))
    [message] = protocol.SegmentCollection.FromString(data).segments
    return message


def test_a_segment_has_every_field_of_its_record() -> None:
    message = decoded(SEGMENT)
    names = (message.traceId, message.traceSegmentId, message.service, message.serviceInstance)
    assert names == ("trace", "segment", "shop", "shop-1")
    assert not message.isSizeLimited
    [span] = message.spans
    assert (span.spanId, span.parentSpanId, span.spanType, span.spanLayer) == (0, -1, 0, 3)
    assert (span.startTime, span.endTime) == (1_700_000_000_000, 1_700_000_000_250)
    assert (span.operationName, span.peer, span.componentId) == ("/users/<int:uid>", "10.0.0.1:5000", 7001)
    assert (span.isError, span.skipAnalysis) == (True, True)
    assert tuple((tag.key, tag.value) for tag in span.tags) == SEGMENT.tags
    [log] = span.logs
    assert log.time == 1_700_000_000_250
    assert tuple((pair.key, pair.value) for pair in log.data) == SEGMENT.log


def test_a_segment_that_continues_a_trace_refers_to_its_caller() -> None:
    [reference] = decoded(SEGMENT).spans[0].refs
    assert reference.refType == 0
    assert (reference.traceId, reference.parentTraceSegmentId, reference.parentSpanId) == ("trace", "parent", 3)
    assert (reference.parentService, reference.parentServiceInstance) == ("web", "web-1")
    assert (reference.parentEndpoint, reference.networkAddressUsedAtPeer) == ("/start", "shop:80")


def test_a_plain_segment_has_no_reference_and_no_log() -> None:
    [span] = decoded(SEGMENT._replace(reference=None, log=(), is_error=False, skip_analysis=False)).spans
    assert (len(span.refs), len(span.logs), span.isError, span.skipAnalysis) == (0, 0, False, False)


def test_encoded_segments_put_together_are_one_collection() -> None:
    records = [SEGMENT._replace(segment_id=str(number)) for number in range(5)]
    whole = protocol.SegmentCollection.FromString(b"".join(encode.encoded(records, encode.whole(encode.collection))))
    assert [each.traceSegmentId for each in whole.segments] == ["0", "1", "2", "3", "4"]
    assert whole == protocol.SegmentCollection(segments=[encode.segment(record) for record in records])


def test_a_snapshot_and_a_finish_report_have_every_field_of_their_records() -> None:
    snapshot = encode.snapshot(Snapshot("task", "segment", 1_700_000_000_001, 7, ("/users", "app.py.view: 3")))
    assert (snapshot.taskId, snapshot.traceSegmentId) == ("task", "segment")
    assert (snapshot.time, snapshot.sequence) == (1_700_000_000_001, 7)
    assert list(snapshot.stack.codeSignatures) == ["/users", "app.py.view: 3"]
    finish = encode.finish(Finish("shop", "shop-1", "task"))
    assert (finish.service, finish.serviceInstance, finish.taskId) == ("shop", "shop-1", "task")


def test_text_that_is_no_utf8_is_mended_wherever_an_app_can_put_it() -> None:
    bad = "a\udcffb"
    span = decoded(SEGMENT._replace(operation=bad, peer=bad, tags=(("http.url", bad),), log=(("message", bad),))).spans[
        0
    ]
    assert (span.operationName, span.peer, span.tags[0].value, span.logs[0].data[0].value) == ("a?b",) * 4
    assert list(encode.snapshot(Snapshot("t", "s", 1, 0, (bad,))).stack.codeSignatures) == ["a?b"]
    assert encode.clean("köln") == "köln"


def test_records_that_cannot_be_encoded_are_left_out(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "_last", {})
    good, bad = Snapshot("t", "s", 1, 0, ()), Snapshot("t", "s", 1, 1 << 40, ())
    assert len(encode.encoded([good, bad, good, bad], encode.whole(encode.snapshot))) == 2
    [line] = caplog.messages  # and not one for each of them
    assert "encoding" in line


def test_commands_become_names_and_arguments() -> None:
    answer = protocol.Commands(
        commands=[
            protocol.Command(command="ProfileTaskQuery", args=[protocol.KeyStringValuePair(key="TaskId", value="1")]),
            protocol.Command(command="Other"),
        ]
    )
    assert encode.commands(answer) == [TaskCommand("ProfileTaskQuery", {"TaskId": "1"}), TaskCommand("Other", {})]


def test_the_gil_is_given_up_whenever_a_slice_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    slices: list[int] = []
    begun = [0]

    def give_way(seconds: float) -> None:
        assert seconds > 0
        slices.append(now[0] - begun[0])
        now[0] += 50_000
        begun[0] = now[0]

    def slow(record: Segment) -> bytes:
        now[0] += 30_000
        return encode.whole(encode.collection)(record)

    monkeypatch.setattr(encode, "monotonic_ns", lambda: now[0])
    monkeypatch.setattr(encode, "sleep", give_way)
    assert len(encode.encoded([SEGMENT] * 200, slow)) == 200
    assert len(slices) == 14  # 200 records of 30 µs: 6 ms in slices of 14 records
    assert max(slices) <= 430_000


def test_the_clock_is_looked_at_once_for_several_quick_records(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def clock() -> int:
        looks.append(1)
        return 1_000 * len(looks)

    monkeypatch.setattr(encode, "monotonic_ns", clock)
    assert len(encode.encoded(range(200), bytes)) == 200
    assert len(looks) < 35


def test_no_single_record_takes_a_slice_by_itself() -> None:
    long = SEGMENT._replace(log=(("stack", "\n".join(f'File "/srv/app/package/module{n}.py"' for n in range(50))),))
    deep = Snapshot("t", "s", 1, 0, tuple(f"package/module.py.Class.function: {n}" for n in range(500)))
    for record, encoding in (
        (long, encode.whole(encode.collection)),
        (deep, encode.whole(encode.snapshot)),
        (long, Segments()),
        (deep, Snapshots()),
    ):
        times = []
        for _ in range(50):
            began = time.thread_time_ns()
            encode.encoded([record], encoding)
            times.append(time.thread_time_ns() - began)
        assert statistics.median(times) < 400_000


def test_what_is_packed_for_the_call_takes_no_slice_either() -> None:
    long = SEGMENT._replace(log=(("stack", "x" * 5_000),))
    encoded = encode.encoded([long] * 200, encode.whole(encode.collection))
    times = []
    for _ in range(20):
        began = time.thread_time_ns()
        request = b"".join(encoded)
        times.append(time.thread_time_ns() - began)
    assert len(request) > 1_000_000
    assert statistics.median(times) < 400_000
