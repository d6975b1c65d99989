"""Messages put together of known parts are those that the library makes, and no part is another record's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swprof_mw import failures
from swprof_mw.records import Reference, Segment, Snapshot
from swprof_mw.reporter import encode, protocol
from swprof_mw.reporter.known import Known, Segments, Snapshots, varint

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, -1, 127, 128, 2**14 - 1, 2**14, -(2**63), 2**63 - 1])
#: As an id or a name may be; and what a stranger sends, lone surrogates included.
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["", "shop", "x" * 300])
TEXTS = st.text(st.characters(), max_size=8) | st.sampled_from(["", "a\udcffb", "\N{SNOWMAN}" * 50, "x" * 5_000])
PAIRS = st.lists(st.tuples(NAMES, TEXTS), max_size=4).map(tuple)
REFERENCES = st.builds(Reference, NAMES, NAMES, INT32, NAMES, NAMES, NAMES, NAMES)
SEGMENTS = st.builds(
    Segment,
    trace_id=NAMES,
    segment_id=NAMES,
    service=NAMES,
    instance=NAMES,
    operation=TEXTS,
    start=INT64,
    end=INT64,
    peer=TEXTS,
    component=INT32,
    is_error=st.booleans(),
    tags=PAIRS,
    log=st.just(()) | PAIRS,
    reference=st.none() | REFERENCES,
    skip_analysis=st.booleans(),
)
SNAPSHOTS = st.builds(Snapshot, NAMES, NAMES, INT64, INT32, st.lists(TEXTS, max_size=8).map(tuple))

SEGMENT = Segment(
    trace_id="0123456789abcdef0123456789abcdef.1.1",
    segment_id="0123456789abcdef0123456789abcdef.1.1",
    service="shop",
    instance="shop-1@10.0.0.1",
    operation="GET:/users/{uid}",
    start=1_700_000_000_000,
    end=1_700_000_000_250,
    peer="10.0.0.1:5000",
    component=7001,
    is_error=False,
    tags=(("http.method", "GET"), ("http.url", "/users/7"), ("http.status_code", "200")),
    log=(),
    reference=None,
    skip_analysis=False,
)
SNAPSHOT = Snapshot("task", "segment", 1_700_000_000_000, 0, tuple(f"app/module.py.view: {n}" for n in range(60)))

# The same ones for all examples, so that later records find what earlier ones have left.
segments, snapshots = Segments(), Snapshots()


@given(SEGMENTS)
def test_a_segment_is_what_the_library_makes_of_it(record: Segment) -> None:
    for _ in range(2):  # as one that is new, and as one that is known
        assert protocol.SegmentCollection.FromString(segments(record)) == encode.collection(record)


@given(SNAPSHOTS)
def test_a_snapshot_is_what_the_library_makes_of_it(record: Snapshot) -> None:
    for _ in range(2):
        assert protocol.ThreadSnapshot.FromString(snapshots(record)) == encode.snapshot(record)


@given(SEGMENTS, st.data())
def test_segments_that_differ_in_any_one_field_share_none_of_it(record: Segment, data: st.DataObject) -> None:
    other = data.draw(SEGMENTS)
    for field in Segment._fields:
        for each in (record, record._replace(**{field: getattr(other, field)})):
            assert protocol.SegmentCollection.FromString(segments(each)) == encode.collection(each)


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_read_as_the_number_that_it_is(number: int) -> None:
    signed = number - 2**64 if number >= 2**63 else number
    assert protocol.Log.FromString(b"\x08" + varint(number)).time == signed


@pytest.mark.parametrize(
    ("encoding", "good", "changes"),
    [
        (Segments(), SEGMENT, {"start": 2**63}),
        (Segments(), SEGMENT, {"end": -(2**63) - 1}),
        (Segments(), SEGMENT, {"trace_id": "\udc80"}),
        (Segments(), SEGMENT, {"segment_id": "\udc80"}),
        (Segments(), SEGMENT, {"service": "\udc80"}),
        (Segments(), SEGMENT, {"component": 2**31}),
        (Segments(), SEGMENT, {"tags": (("\udc80", ""),)}),
        (Snapshots(), SNAPSHOT, {"time": 2**63}),
        (Snapshots(), SNAPSHOT, {"sequence": 2**31}),
        (Snapshots(), SNAPSHOT, {"task_id": "\udc80"}),
    ],
)
def test_what_the_library_refuses_is_refused_and_the_others_are_encoded(
    encoding: Callable[[Any], bytes], good: Any, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "_last", {})
    bad = good._replace(**changes)
    library = encode.collection if isinstance(good, Segment) else encode.snapshot
    with pytest.raises((ValueError, TypeError)):
        library(bad).SerializeToString()
    records = [good] * 20 + [bad] + [good] * 20 + [bad]
    assert encode.encoded(records, encoding) == [encoding(good)] * 40


def test_what_is_known_is_bounded_in_number_and_in_length() -> None:
    asked: list[int] = []

    def encoding(number: int) -> bytes:
        asked.append(number)
        return bytes(number)

    known = Known(encoding, limit=10, longest=50)
    for number in range(1_000):
        assert len(known[number % 60]) == number % 60
        assert len(known) <= 10
        assert all(len(part) <= 50 for part in known.values())
    known.clear()
    asked.clear()
    assert [known[7] for _ in range(5)] == [bytes(7)] * 5
    assert asked == [7]


def test_ten_thousand_different_records_leave_little_behind() -> None:
    segments, snapshots = Segments(), Snapshots()
    for number in range(10_000):
        said = f"/{number}"
        record = SEGMENT._replace(service=said, operation=said, tags=(("http.url", said),), start=number << 20)
        assert protocol.SegmentCollection.FromString(segments(record)) == encode.collection(record)
        snapshot = SNAPSHOT._replace(segment_id=said, sequence=number, time=number << 20, stack=(said,))
        assert protocol.ThreadSnapshot.FromString(snapshots(snapshot)) == encode.snapshot(snapshot)
    kept = [part for encoder in (segments, snapshots) for part in vars(encoder).values() if isinstance(part, Known)]
    assert len(kept) == 11
    assert sum(len(part) for part in kept) < 15_000


def test_known_parts_are_at_least_twice_as_fast_as_the_library() -> None:
    records = [SEGMENT._replace(segment_id=str(number), start=SEGMENT.start + number) for number in range(100)]
    stacks = [SNAPSHOT._replace(sequence=number, stack=(*SNAPSHOT.stack, str(number % 7))) for number in range(100)]
    cases: list[tuple[list[Any], Callable[[Any], bytes], Callable[[Any], Any]]] = [
        (list(records), Segments(), encode.collection),
        (list(stacks), Snapshots(), encode.snapshot),
    ]
    for several, encoding, message in cases:
        encode.encoded(several, encoding)
        ratios = [_took(several, encode.whole(message)) / _took(several, encoding) for _ in range(30)]
        assert statistics.median(ratios) > 2


def _took(records: list[Any], encoding: Callable[[Any], bytes]) -> int:
    began = time.thread_time_ns()
    for record in records:
        encoding(record)
    return time.thread_time_ns() - began
