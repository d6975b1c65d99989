"""The analysis against a real OAP's: literal results that it gave, and both asked the same when one is at hand."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence

import grpc
import pytest

from swprof_mw.collector.analysis import Analysis, Stretch, analyze
from swprof_mw.collector.records import Snapshot
from swprof_mw.collector.server import Collector
from swprof_mw.query.client import OapClient
from tests.oap.server import OapServer
from tests.test_collector import Agent
from tests.trees import elements

STORED_WITHIN = 15.0
"""Seconds a real OAP may take to store what it was sent."""

Row = tuple[int, int, str]
"""Number, time in ms, and the stack: one letter a frame."""


def snapshots(*rows: Row) -> list[Snapshot]:
    """The snapshots of one segment."""
    return [Snapshot("task", "segment", at, number, tuple(stack)) for number, at, stack in rows]


def text(analysis: Analysis) -> list[list[str]]:
    """Each element as ``id<parent frame duration/own xcount``."""
    return [
        [
            f"{one.id}<{one.parent_id} {one.code_signature} {one.duration}/{one.own} x{one.count}"
            for one in elements(tree)
        ]
        for tree in analysis.trees
    ]


def result(*rows: Row, start: int = 0, end: int = 1000) -> list[list[str]]:
    """The trees of one segment's snapshots between two times."""
    return text(analyze([Stretch(snapshots(*rows), start, end)]))


def test_time_between_neighbours() -> None:
    rows = [(0, 0, "eab"), (1, 10, "eab"), (2, 20, "eac"), (3, 30, "eac"), (4, 40, "ed"), (5, 50, "ed")]
    assert result(*rows) == [["1<0 e 50/10 x6", "2<1 a 30/10 x4", "3<1 d 10/10 x2", "4<2 b 10/10 x2", "5<2 c 10/10 x2"]]


def test_closed_runs_lose_nothing() -> None:
    rows = [(0, 0, "eab"), (1, 10, "eab"), (2, 20, "eab"), (3, 20, "eac"), (4, 40, "eac"), (5, 40, "ed"), (6, 55, "ed")]
    assert result(*rows) == [["1<0 e 55/0 x7", "2<1 a 40/0 x5", "3<1 d 15/15 x2", "4<2 b 20/20 x3", "5<2 c 20/20 x2"]]


def test_plain_runs_lose_what_is_between_them() -> None:
    rows = [(0, 0, "ea"), (1, 10, "eb"), (2, 20, "ea"), (3, 30, "eb")]
    assert result(*rows) == [["1<0 e 30/30 x4", "2<1 a 0/0 x2", "3<1 b 0/0 x2"]]


def test_a_number_left_out_cuts_the_time() -> None:
    assert result((0, 0, "ea"), (1, 10, "ea"), (3, 100, "ea"), (4, 110, "ea")) == [["1<0 e 20/0 x4", "2<1 a 20/20 x4"]]


def test_a_lone_snapshot_has_no_time() -> None:
    assert result((0, 0, "ea")) == [["1<0 e 0/0 x1", "2<1 a 0/0 x1"]]


def test_a_frame_that_calls_itself() -> None:
    rows = [(0, 0, "eaab"), (1, 10, "eaab"), (2, 20, "ea")]
    assert result(*rows) == [["1<0 e 20/0 x3", "2<1 a 20/10 x3", "3<2 a 10/0 x2", "4<3 b 10/10 x2"]]


def test_each_first_frame_has_a_tree() -> None:
    rows = [(0, 0, "ea"), (1, 10, "fa"), (2, 20, "ea"), (3, 30, "ea")]
    assert result(*rows) == [["1<0 e 10/0 x3", "2<1 a 10/10 x3"], ["1<0 f 0/0 x1", "2<1 a 0/0 x1"]]


def test_a_clock_that_was_far_off_makes_one_number_wrong() -> None:
    rows = [(0, 0, "ea"), (1, 2**31 + 5, "ea"), (3, 5, "ea"), (4, 7, "ea")]
    assert result(*rows, end=2**40) == [["1<0 e 2147483647/0 x4", "2<1 a 2147483647/2147483647 x4"]]


def test_the_order_of_arrival_does_not_matter() -> None:
    rows = [(3, 30, "ea"), (1, 10, "ea"), (0, 0, "ea"), (2, 20, "eb")]
    assert result(*rows) == [["1<0 e 30/20 x4", "2<1 a 10/10 x3", "3<1 b 0/0 x1"]]


@pytest.mark.parametrize(
    ("start", "end", "duration", "count"),
    [
        (0, 1000, 90, 10),
        (20, 50, 30, 4),
        (15, 55, 30, 4),
        (20, 20, 0, 1),
        (21, 29, 0, 1),  # nothing inside stands for number 0
        (200, 300, 0, 1),
        (50, 20, 0, 1),
    ],
)
def test_ranges(start: int, end: int, duration: int, count: int) -> None:
    rows = [(number, number * 10, "e") for number in range(10)]
    assert result(*rows, start=start, end=end) == [[f"1<0 e {duration}/{duration} x{count}"]]


@pytest.mark.parametrize(("start", "end", "duration", "count"), [(0, 30, 30, 4), (20, 30, 10, 2), (0, 20, 20, 3)])
def test_a_range_takes_all_numbers_between(start: int, end: int, duration: int, count: int) -> None:
    rows = [(0, 0, "e"), (1, 50, "e"), (2, 20, "e"), (3, 30, "e")]
    assert result(*rows, start=start, end=end) == [[f"1<0 e {duration}/{duration} x{count}"]]


def test_without_snapshots_there_is_no_tree() -> None:
    assert analyze([]) == analyze([Stretch([], 0, 9)]) == Analysis(None, [])
    assert result((5, 0, ""), (6, 10, "")) == []


ONE = snapshots((0, 0, "ea"), (1, 10, "ea"), (2, 20, "eb"))
SAME_NUMBERS = snapshots((0, 100, "ea"), (1, 110, "ea"), (2, 130, "fb"))
NEXT_NUMBERS = snapshots((3, 200, "ea"), (4, 210, "ea"))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([ONE, SAME_NUMBERS], [["1<0 e 20/10 x3", "2<1 a 10/10 x2", "3<1 b 0/0 x1"]]),
        ([SAME_NUMBERS, ONE], [["1<0 e 10/0 x2", "2<1 a 10/10 x2"], ["1<0 f 0/0 x1", "2<1 b 0/0 x1"]]),
        ([ONE, NEXT_NUMBERS], [["1<0 e 210/190 x5", "2<1 a 20/20 x4", "3<1 b 0/0 x1"]]),
        ([ONE, ONE], [["1<0 e 20/10 x3", "2<1 a 10/10 x2", "3<1 b 0/0 x1"]]),
        ([ONE, []], [["1<0 e 20/10 x3", "2<1 a 10/10 x2", "3<1 b 0/0 x1"]]),
    ],
)
def test_several_segments_together(parts: list[list[Snapshot]], expected: list[list[str]]) -> None:
    assert text(analyze([Stretch(part, 0, 1000) for part in parts])) == expected


TIP = "Out of snapshot analyze limit, {} snapshots found, but analysis first 12000 snapshots only."


@pytest.mark.parametrize(
    ("parts", "tip", "element"),
    [
        ([range(12_000)], None, "1<0 e 11999/11999 x12000"),
        ([range(12_001)], TIP.format(12_001), "1<0 e 11999/11999 x12000"),
        ([range(3, 12_004)], TIP.format(12_001), "1<0 e 11999/11999 x12000"),
        ([range(0, 15_000, 3)], TIP.format(14_998), "1<0 e 0/0 x4000"),
        ([range(0, 200_000, 100_001)], TIP.format(100_002), "1<0 e 0/0 x1"),
        ([range(8_000), range(8_000, 16_000)], TIP.format(16_000), "1<0 e 7999/7999 x16000"),
        ([range(8_000), range(8_000)], TIP.format(16_000), "1<0 e 7999/7999 x8000"),
    ],
)
def test_the_limit(parts: list[range], tip: str | None, element: str) -> None:
    stretches = [Stretch(snapshots(*((n, at, "e") for at, n in enumerate(part))), 0, 99_999) for part in parts]
    found = analyze(stretches)
    assert (found.tip, text(found)) == (tip, [[element]])


# Both asked the same


class Both:
    """A real OAP and a collector that are sent the same."""

    def __init__(self, collector: Collector, oap: OapServer) -> None:
        self.backends = [oap.grpc_address, collector.backend]
        self.oap = OapClient(oap.url)
        self.collector = OapClient(collector.url)
        self.base = time.time_ns() // 1_000_000 - 100_000

    def send(self, segments: dict[str, list[Row]]) -> None:
        """Send the snapshots of each segment to both; returns once the last segment can be asked for."""
        task = uuid.uuid4().hex
        for backend in self.backends:
            with grpc.insecure_channel(backend) as channel:
                for segment, rows in segments.items():
                    sent = [(number, self.base + at, list(stack)) for number, at, stack in rows]
                    Agent(channel).snapshots(task, segment, sent)
        last, latest = list(segments)[-1], time.monotonic() + STORED_WITHIN
        while not self.trees(self.oap, [(last, 0, 10**6)])[1]:
            assert time.monotonic() < latest, "the OAP did not store what it was sent"
            time.sleep(0.1)

    def trees(self, client: OapClient, queries: Sequence[tuple[str, int, int]]) -> tuple[object, list[object]]:
        """Tip and trees; the trees in order of their first frames: OAP's own order is that of a hash table."""
        ranges = [
            {"segmentId": segment, "timeRange": {"start": self.base + start, "end": self.base + end}}
            for segment, start, end in queries
        ]
        answer = client.query(
            "query($q: [SegmentProfileAnalyzeQuery!]!){getSegmentsProfileAnalyze(queries: $q)"
            "{tip trees{elements{id parentId codeSignature duration durationChildExcluded count}}}}",
            q=ranges,
        )["getSegmentsProfileAnalyze"]
        return answer["tip"], sorted(answer["trees"], key=lambda tree: str(tree["elements"][0]["codeSignature"]))

    def agree(self, *queries: tuple[str, int, int]) -> None:
        """Both give the same answer, and it is not nothing."""
        expected = self.trees(self.oap, queries)
        assert expected[1]
        assert self.trees(self.collector, queries) == expected


@pytest.fixture
def both(oap: OapServer) -> Iterator[Both]:
    with Collector(0, 0) as collector:
        yield Both(collector, oap)


def closed_runs(rnd: random.Random) -> list[Row]:
    """A recording as our agent makes it: a run's last stack is sent again with the time of the next one."""
    rows: list[Row] = [(0, 0, "eab")]
    at = 0
    for _ in range(60):
        at += rnd.choice([9, 10, 11, 24])
        stack = rnd.choice(["eab", "eac", "ed", rows[-1][2], rows[-1][2]])
        number = rows[-1][0] + 1 + (rnd.random() < 0.1)
        if stack != rows[-1][2]:
            rows.append((number, at, rows[-1][2]))
            number += 1
        rows.append((number, at, stack))
    return rows


def plain(rnd: random.Random) -> list[Row]:
    """A recording as other agents make it: one snapshot a period, but for gaps that have no number of their own."""
    at, rows = 0, []
    for number in range(rnd.randrange(1, 60)):
        rows.append((number, at, rnd.choice(["eab", "eac", "eac", "ed"])))
        at += rnd.choice([10, 10, 10, 11, 300])
    return rows


def wild(rnd: random.Random) -> list[Row]:
    """Numbers with gaps, times that stand still or step back, many first frames, any order of arrival."""
    number, at, rows = rnd.choice([0, 0, 0, 3]), rnd.randrange(50), []
    roots = rnd.choice(["e", "e", "efgh"])
    for _ in range(rnd.randrange(1, 40)):
        stack = rnd.choice(roots) + "".join(rnd.choices("abcd", k=rnd.randrange(4)))
        for _ in range(rnd.randrange(1, 4)):
            rows.append((number, at, stack))
            number += rnd.choice([1, 1, 1, 1, 2, 3])
            at += rnd.choice([0, 10, 10, 11, 37, -5])
    rnd.shuffle(rows)
    return rows


@pytest.mark.oap
@pytest.mark.parametrize("record", [plain, closed_runs, wild])
def test_a_real_oap_agrees(both: Both, record: Callable[[random.Random], list[Row]]) -> None:
    rnd = random.Random(8)
    segments = {uuid.uuid4().hex: record(rnd) for _ in range(40)}
    segments[uuid.uuid4().hex] = [(0, 0, "e")]
    both.send(segments)
    for segment in segments:
        both.agree((segment, -1000, 100_000))
        start = rnd.randrange(300)
        one = (segment, start, start + rnd.randrange(400))
        zero = (list(segments)[-1], 0, 1)
        both.agree(one, zero)
        both.agree(zero, *((other, start, start + 300) for other in rnd.sample(list(segments), 2)))


@pytest.mark.oap
def test_a_real_oap_agrees_on_several_requests_together(both: Both) -> None:
    rnd = random.Random(9)
    segments = {uuid.uuid4().hex: rnd.choice([plain, closed_runs, wild])(rnd) for _ in range(60)}
    last = uuid.uuid4().hex
    both.send({**segments, last: [(0, 0, "e")]})
    for _ in range(100):
        starts = {segment: rnd.randrange(-100, 600) for segment in rnd.choices(list(segments), k=rnd.randrange(1, 6))}
        queries = [(segment, start, start + rnd.randrange(-50, 900)) for segment, start in starts.items()]
        queries.insert(rnd.randrange(len(queries) + 1), (last, 0, 1))
        both.agree(*queries)


@pytest.mark.oap
def test_a_real_oap_has_the_same_limit(both: Both) -> None:
    segment, sparse = uuid.uuid4().hex, uuid.uuid4().hex
    both.send({segment: [(number, number, "e") for number in range(12_001)], sparse: [(0, 0, "e"), (20_000, 9, "e")]})
    both.agree((segment, 0, 20_000))
    both.agree((segment, 0, 11_999))
    both.agree((sparse, 0, 9))
    both.agree((segment, 0, 6_000), (sparse, 0, 9))
