"""The store in a file: what it keeps over a restart, how large it gets, what it says of a file it cannot use."""

from __future__ import annotations

import contextlib
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from struct import unpack
from typing import Any

import grpc
import pytest

from bench.collector_load import collector as running
from swprof_mw.cli import quantities
from swprof_mw.collector import commits, schema
from swprof_mw.collector.errors import CollectorError, StoreError
from swprof_mw.collector.graphql import Api
from swprof_mw.collector.records import Instance, Segment, Snapshot, Span, SpanLog, Task, TaskLog
from swprof_mw.collector.server import Collector
from swprof_mw.collector.store import DAY, LEAST_SIZE, Store
from swprof_mw.query.client import OapClient
from tests.doubles import wait_until
from tests.test_collector import Agent
from tests.waiting import eventually

VERSION_1 = Path(__file__).parent / "stores" / "version-1.sql"
MEGABYTE = 1_000_000
NOW = 1_700_000_000_000
TASK = f"{NOW}_c2hvcA==.1"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Of a file that is not there yet."""
    return str(tmp_path / "profiles.db")


@contextlib.contextmanager
def opened(path: str = "", **options: Any) -> Iterator[Store]:
    """A store that is closed afterwards."""
    with contextlib.closing(Store(path, **options)) as store:
        yield store


def segment(identifier: str, service: str = "shop", text: str = "") -> Segment:
    """A segment of two spans with all that a span can have."""
    log = SpanLog(5, (("event", "error"), ("message", "a\0b")))
    entry = Span(
        0, -1, 0, 9, "/e", "Entry", "Http", "peer:1", "Flask", True, tags=(("http.method", "GET"),), logs=(log,)
    )
    inner = Span(1, 0, 2, 3, "SELECT", "Local", "Unknown", skip_analysis=True, tags=(("text", text),))
    return Segment("trace", identifier, service, "one", (entry, inner))


def snapshot(identifier: str, number: int, *stack: str, task: str = TASK) -> Snapshot:
    """A snapshot, of the stack ``/e`` if there is no other."""
    return Snapshot(task, identifier, NOW + number, number, stack or ("/e",))


def profile_task(start: int = NOW) -> Task:
    """A task of five minutes."""
    return Task("c2hvcA==.1", "/e", start, 5, 0, 10, 5, start)


def size_of(path: str) -> int:
    """Bytes of the file and its write-ahead log."""
    return sum(Path(path + end).stat().st_size for end in ("", "-wal") if os.path.exists(path + end))


# Kept over a restart


def test_all_is_as_it_was_after_a_restart(path: str) -> None:
    stacks = [("/e", "view", "a\0b"), ("/e", "view", "a", "b"), ("/e", "vïew", ""), ("/e", "view", "a\0b")]
    with opened(path, clock=lambda: NOW) as store:
        store.described("shop", "one", 3, "PYTHON", (("Process No.", "7"),))
        store.seen("other", "two", 4, "MESH")
        task = store.add_task(profile_task())
        store.add_log(TaskLog(TASK, "shop", "one", "NOTIFIED", 5))
        store.add_segment(segment("plain"), 6)
        store.add_segment(segment("profiled"), 7)
        for number, stack in enumerate(stacks):
            store.add_snapshot(snapshot("profiled", number, *stack))
        before = everything(store)
    with opened(path) as store:
        assert everything(store) == before
        assert store.tasks() == [task]
        assert store.instances("shop") == [Instance("shop", "one", 3, 7, "PYTHON", (("Process No.", "7"),))]
        assert [one.stack for one in store.snapshots("profiled")] == stacks
        assert store.segments() == [segment("plain"), segment("profiled")]
        assert store.profiled(TASK) == [segment("profiled")]
        store.add_snapshot(snapshot("profiled", 0, "/other"))
        store.add_snapshot(snapshot("profiled", 4, *stacks[0]))
        assert [one.stack for one in store.snapshots("profiled")] == [*stacks, stacks[0]]


def everything(store: Store) -> list[Any]:
    """All that it can be asked for."""
    names = [one.name for one in store.services()]
    return [
        store.services(),
        [(store.instances(name), store.endpoints(name)) for name in names],
        [(task, store.logs(task.id), store.profiled(task.id)) for task in store.tasks()],
        [(one, store.snapshots(one.segment_id)) for one in store.segments()],
    ]


def test_bounds_hold_over_a_restart(path: str) -> None:
    for number in range(4):
        with opened(path, segments=2, snapshots=4) as store:
            store.add_segment(segment(f"plain{number}"), number)
            store.add_snapshot(snapshot(f"p{number}", 0))
            store.add_snapshot(snapshot(f"p{number}", 1))
    with opened(path) as store:
        assert [one.segment_id for one in store.segments()] == ["plain2", "plain3"]
        assert [len(store.snapshots(f"p{number}")) for number in range(4)] == [0, 0, 2, 2]


def test_equal_stacks_of_many_profiles_are_kept_once_and_go_with_the_last(path: str) -> None:
    frames = [f"/srv/shop/{'x' * 1000}.py:view:{number}" for number in range(100)]
    with opened(path, snapshots=400) as store, store.acknowledged():
        for number in range(400):
            store.add_snapshot(snapshot(f"s{number // 4}", number % 4, "/e", *frames))
    assert size_of(path) < 400_000
    with opened(path, snapshots=400) as store, store.acknowledged():
        for number in range(400):
            store.add_snapshot(snapshot(f"t{number}", 0, "/other"))
    assert count(path, "SELECT count(*) FROM frame") == count(path, "SELECT count(*) FROM stack") == 1
    assert count(path, "SELECT uses FROM stack") == 400


def count(path: str, query: str) -> int:
    """A number out of a file that is closed."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute(query).fetchone()[0]
    return found


@pytest.fixture
def frozen(path: str) -> str:
    """A file of version 1."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text())
    return path


def test_the_file_of_an_older_version_is_opened(frozen: str) -> None:
    for _ in range(2):
        with opened(frozen) as store:
            assert [one.segment_id for one in store.segments()] == ["plain", "profiled", "half"]
            assert [one.segment_id for one in store.profiled(TASK)] == ["profiled", "half"]
            assert store.profiled("early") == []
            assert [one.stack for one in store.snapshots("profiled")] == [("/e", "view"), *[("/e", "view", "slow")] * 2]
            assert [one.task_id for one in store.snapshots("half")] == [TASK, "early"]
            assert [(one.id, store.logs(one.id)[0].operation) for one in store.tasks()] == [(TASK, "NOTIFIED")]
            assert [one.properties for one in store.instances("shop")] == [(("Process No.", "7"),)]
    assert count(frozen, "PRAGMA user_version") == schema.VERSION


def test_an_older_file_becomes_what_a_new_one_is(frozen: str, tmp_path: Path) -> None:
    new = str(tmp_path / "new.db")
    for one in (frozen, new):
        Store(one).close()
    assert tables(frozen) == tables(new)


def tables(path: str) -> set[str]:
    """Tables and indexes, as they were declared."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
    return {f"{name}: {' '.join(str(declared).split())}".replace("( ", "(") for name, declared in rows}


def test_a_step_that_fails_leaves_the_older_version(frozen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(schema, "STEPS", (schema.STEPS[0], schema.STEPS[1] + ";\nDROP TABLE absent"))
        with pytest.raises(StoreError, match="no such table: absent"):
            Store(frozen)
    assert count(frozen, "PRAGMA user_version") == 1
    with opened(frozen) as store:
        assert len(store.profiled(TASK)) == 2


# Files it cannot use


def test_a_file_that_is_no_database(path: str) -> None:
    Path(path).write_bytes(b"what people wrote\n" * 100)
    with pytest.raises(CollectorError, match=re.escape(f"cannot use {path} as the store: file is not a database")):
        Store(path)
    assert Path(path).read_bytes() == b"what people wrote\n" * 100


def test_the_database_of_another_program(path: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE customer (name TEXT)")
    with pytest.raises(CollectorError, match="it is another program's database"):
        Store(path)
    assert len(tables(path)) == 1


def test_the_file_of_a_newer_version(path: str) -> None:
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(CollectorError, match=r"a newer swprof-mw wrote it \(version 99 of the file, this one knows "):
        Store(path)


def test_a_file_that_cannot_be_there(tmp_path: Path) -> None:
    for place, why in ((tmp_path / "none" / "a.db", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(CollectorError, match=re.escape(f"cannot use {place} as the store: {why}")):
            Store(str(place))


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Not root, who may write anything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_file_that_can_only_be_read() -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        path = f"{directory}/profiles.db"
        Store(path).close()
        Path(path).chmod(0o444)
        with nobody(), pytest.raises(CollectorError, match="Permission denied"):
            Store(path)


def test_one_collector_at_a_time(path: str) -> None:
    with opened(path), pytest.raises(CollectorError, match="another collector is using it"):
        Store(path)
    Store(path).close()


def test_the_file_is_nobody_else_s(path: str) -> None:
    with opened(path) as store:
        store.seen("shop", "one", 0)
        assert {Path(path + end).stat().st_mode & 0o777 for end in ("", "-wal", "-lock")} == {0o600}


def test_a_store_that_was_closed_says_so(path: str) -> None:
    store = Store(path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.seen("shop", "one", 0)
    with pytest.raises(StoreError, match="closed"):
        store.services()


# How much it keeps


@pytest.mark.parametrize("in_file", [True, False])
def test_what_is_older_than_the_retention_goes(path: str, in_file: bool) -> None:
    now = NOW
    with opened(path if in_file else "", retention=DAY, clock=lambda: now) as store:
        for number in range(4):
            now = NOW + number * DAY // 2
            store.add_task(profile_task(now))
            store.add_log(TaskLog(store.tasks()[0].id, "shop", "one", "NOTIFIED", now))
            store.seen("shop", f"i{number}", now)
            store.add_segment(segment(f"plain{number}"), now)
            store.add_segment(segment(f"p{number}"), now)
            store.add_snapshot(snapshot(f"p{number}", 0))
        store.seen("gone", "one", NOW)
        now += DAY // 4
        while store.expire():
            pass
        assert [one.segment_id for one in store.segments()] == ["plain2", "plain3", "p2", "p3"]
        assert [len(store.snapshots(f"p{number}")) for number in range(4)] == [0, 0, 1, 1]
        assert [one.start_time for one in store.tasks()] == [NOW + 3 * DAY // 2, NOW + DAY]
        assert store.logs(TASK) == []
        assert [one.name for one in store.services()] == ["shop"]
        assert [one.name for one in store.instances("shop")] == ["one", "i2", "i3"]
        now += 2 * DAY
        while store.expire():
            pass
        assert everything(store) == [[], [], [], []]


def fill(store: Store, megabytes: int, name: str = "s") -> None:
    """Put in so much of stacks that are all different, as profiles of ten snapshots with a segment each."""
    chance = random.Random(5)
    for number in range(megabytes * 4):
        with store.acknowledged():
            store.add_segment(segment(f"{name}{number}", text=chance.randbytes(8_000).hex()), number)
            store.add_segment(segment(f"{name}-plain{number}", text=chance.randbytes(8_000).hex()), number)
            for place in range(10):
                frames = [chance.randbytes(100).hex() for _ in range(100)]
                store.add_snapshot(snapshot(f"{name}{number}", place, *frames))


def test_the_file_stays_within_its_size(path: str) -> None:
    with opened(path, max_size=8 * MEGABYTE) as store:
        largest = 0
        for number in range(6):
            fill(store, 6, f"s{number}-")
            largest = max(largest, size_of(path))
        assert 5 * MEGABYTE < largest <= 8 * MEGABYTE
        assert store.snapshots("s0-0") == []
        assert len(store.snapshots("s5-23")) == 10
        kept = [one.segment_id for one in store.segments()]
        assert kept[-1] == "s5-23"
        assert len(kept) >= 10
    assert count(path, "SELECT count(*) FROM spans") == len(kept)
    assert count(path, "SELECT count(*) FROM snapshot") <= 10 * len(kept)


@contextlib.contextmanager
def watched(path: str) -> Iterator[list[int]]:
    """The largest size that the file and its log have inside, once that is left."""
    largest, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.001):
            with contextlib.suppress(FileNotFoundError):
                largest[0] = max(largest[0], size_of(path))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield largest
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize(("snapshots", "size"), [(30, 900_000), (300, 90_000)])
def test_the_file_stays_within_its_size_while_one_call_brings_more(path: str, snapshots: int, size: int) -> None:
    chance = random.Random(6)
    with opened(path, max_size=8 * MEGABYTE) as store, watched(path) as largest:
        for name in ("first", "second"):
            with store.acknowledged():
                for place in range(snapshots):
                    store.add_snapshot(snapshot(name, place, chance.randbytes(size // 2).hex()))
        store.add_segment(segment("last"), NOW)
        assert [one.segment_id for one in store.segments()] == ["last"]
    assert 5 * MEGABYTE < largest[0] <= 8 * MEGABYTE


def test_the_file_gets_smaller_when_it_may_have_less(path: str) -> None:
    with opened(path) as store:
        fill(store, 24)
    assert size_of(path) > 20 * MEGABYTE
    with opened(path, max_size=8 * MEGABYTE) as store:
        while store.expire():
            pass
        assert len(store.snapshots("s95")) == 10
    assert LEAST_SIZE / 2 < size_of(path) <= LEAST_SIZE


@pytest.mark.parametrize("step", [0.0, 0.1])
def test_the_file_is_as_small_as_it_may_be_while_nothing_else_is_written(
    path: str, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path) as store:
        fill(store, 12)
    monkeypatch.setattr("swprof_mw.collector.store._STEP", step)
    monkeypatch.setattr("swprof_mw.collector.store._LONG_STEP", step)
    with opened(path, max_size=8 * MEGABYTE) as store:
        with store._database.reading() as reader:
            assert reader.execute("SELECT count(*) FROM profile").fetchone() == (48,)
            for _ in range(20):
                store.expire()
            assert store.expire(), "who reads an older state needs the log"
        while store.expire():
            pass
        assert size_of(path) <= 8 * MEGABYTE
        (pages,) = store._database.writer.execute("PRAGMA page_count").fetchone()
        assert Path(path).stat().st_size == pages * 4096
        assert len(store.snapshots("s47")) == 10


def test_the_command_keeps_the_file_within_the_size_it_is_told(path: str) -> None:
    with opened(path) as store:
        fill(store, 12)
    assert size_of(path) > 10 * MEGABYTE
    with running(Path(path), "--max-size", "8MB", "--retention", "0") as (client, _):
        eventually(lambda: size_of(path) <= 8 * MEGABYTE, "the file is smaller")
        assert len(client.analyze("s47", 0, NOW * 2)[1]) == 10  # each stack of it has a root of its own
        assert client.analyze("s0", 0, NOW * 2)[1] == []


def test_the_command_keeps_things_as_long_as_it_is_told(path: str) -> None:
    with running(Path(path), "--retention", "2s") as (client, backend), grpc.insecure_channel(backend) as channel:
        begun = time.monotonic()
        Agent(channel).snapshots("t", "s", [(0, 0, ["/e"])])
        assert len(client.analyze("s", 0, 1)[1]) == 1
        eventually(lambda: client.analyze("s", 0, 1)[1] == [], "the snapshot is gone")
        assert time.monotonic() - begun >= 1.9


# A disk that is full


def test_a_full_disk_is_told_to_agents_and_passes(
    path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swprof_mw.failures._last", {})
    with (
        opened(path) as store,
        Collector(0, 0, store=store) as collector,
        grpc.insecure_channel(collector.backend) as channel,
    ):
        agent = Agent(channel)
        agent.request(0, 1, "/before")
        fill_disk(store, True)
        rows = [(number, number, [f"{number}" * 2000]) for number in range(100)]
        refusals = [
            refusal(lambda: agent.snapshots("t", "s", rows)),
            refusal(lambda: agent.request(0, 1, "x" * 100_000, tags={"a": "x" * 500_000})),
            refusal(lambda: agent.snapshots("t", "s", rows)),
        ]
        code, why = grpc.StatusCode.UNAVAILABLE, "the store cannot be written: database or disk is full"
        assert refusals == [(code, why)] * 3
        assert OapClient(collector.url).endpoints("shop") == ["/before"]
        fill_disk(store, False)
        agent.snapshots("t", "s", rows)
        agent.request(0, 1, "/after")
        assert len(store.snapshots("s")) == 100
        assert OapClient(collector.url).endpoints("shop") == ["/before", "/after"]
    told = "the collector's store cannot be written, agents are told to try again: database or disk is full"
    assert caplog.messages.count(told) == 1


def add_together(store: Store, snapshots: list[Snapshot]) -> None:
    """As a call does that brings them all."""
    with store.acknowledged():
        for one in snapshots:
            store.add_snapshot(one)


def fill_disk(store: Store, full: bool) -> None:
    """Let the file have no more pages than it has; SQLite then says what it says when the disk has none."""
    limit = store.used // 4096 if full else 2**30
    store._database.writer.execute(f"PRAGMA max_page_count = {limit}").fetchall()


def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    """How a call ends that must not be answered well."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    error: Any = raised.value
    return error.code(), error.details()


def test_what_fails_together_fails_for_each(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "OLDEST", 60)  # or the first one, on a slow machine, is committed alone
    with opened(path) as store:
        fill_disk(store, True)
        with pytest.raises(StoreError, match="full"):
            add_together(store, [snapshot("s", number, f"{number}" * 100) for number in range(5_000)])
        assert store.snapshots("s") == []
        with pytest.raises(StoreError, match="full"):
            store.add_segment(segment("large", text="x" * 100_000), 0)
        fill_disk(store, False)
        store.add_snapshot(snapshot("s", 0))
        assert len(store.snapshots("s")) == 1


# What is acknowledged


def test_a_call_is_answered_once_it_is_committed(path: str) -> None:
    with opened(path) as store, Collector(0, 0, store=store) as collector:
        with grpc.insecure_channel(collector.backend) as channel:
            thread = threading.Thread(target=Agent(channel).request, args=(0, 1))
            with store._database.writing:
                thread.start()
                thread.join(0.3)
                assert thread.is_alive()
                assert count(path, "SELECT count(*) FROM segment") == 0
            thread.join(10)
            assert not thread.is_alive()
        assert count(path, "SELECT count(*) FROM segment") == 1


def test_what_comes_at_the_same_time_is_committed_together(path: str) -> None:
    with opened(path) as store:
        done: list[str] = []
        store._database.writer.set_trace_callback(done.append)
        threads = [threading.Thread(target=store.add_snapshot, args=(snapshot("s", number),)) for number in range(50)]
        with store._database.writing:
            for thread in threads:
                thread.start()
            wait_until(lambda: len(store._commits._current.changes) == len(threads))
        for thread in threads:
            thread.join()
        assert done.count("COMMIT") == 1
        assert len(store.snapshots("s")) == len(threads)


def test_a_stream_does_not_wait_for_each_of_its_messages(path: str) -> None:
    with opened(path) as store:
        done: list[str] = []
        store._database.writer.set_trace_callback(done.append)
        add_together(store, [snapshot("s", number) for number in range(2_500)])
        assert 2 <= done.count("COMMIT") < 100
        assert len(store.snapshots("s")) == 2_500


@pytest.mark.parametrize("changes", [{"startTime": 10**30}, {"startTime": -(10**30)}, {"endpointName": "/\ud800"}])
def test_a_task_that_cannot_be_kept_harms_no_other(changes: dict[str, Any]) -> None:
    asked = {"serviceId": "c2hvcA==.1", "endpointName": "/e", "duration": 5, "startTime": NOW}
    asked |= {"minDurationThreshold": 0, "dumpPeriod": 10, "maxSamplingCount": 5, **changes}
    with opened() as store:
        mutation = "mutation($r: ProfileTaskCreationRequest){createProfileTask(creationRequest: $r){id errorReason}}"
        answer = Api(store).answer(mutation, {"r": asked})
        assert answer["data"] is None or answer["data"]["createProfileTask"] is None
        assert answer["errors"][0]["message"] != "internal error"
        assert store.tasks() == []
        store.seen("shop", "one", 0)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({}, ["b", "a"]),
        ({"serviceId": "c2hvcA==.1"}, ["a"]),
        ({"serviceId": "c2hvcB==.1"}, []),
        ({"serviceId": "shop"}, []),
        ({"serviceId": "c2hvcA==.1", "serviceInstanceId": "c2hvcA==.1_b25l"}, ["a"]),
        ({"serviceId": "c2hvcA==.1", "serviceInstanceId": "b3RoZXI=.1_b25l"}, []),
        ({"serviceInstanceId": "b3RoZXI=.1_b25l", "endpointId": "b3RoZXI=.1_L2U="}, ["b"]),
        ({"endpointId": "L2U="}, []),
        ({"tags": [{"key": "http.method", "value": "GET"}]}, ["b", "a"]),
        ({"tags": [{"key": "http.method", "value": "GE"}]}, []),
        ({"tags": [{"key": "http.method"}]}, []),
        ({"tags": [{"key": "text", "value": ""}]}, []),
        ({"traceState": "SUCCESS"}, []),
        ({"minTraceDuration": 9, "maxTraceDuration": 9}, ["b", "a"]),
        ({"minTraceDuration": 10}, []),
        ({"paging": {"pageNum": 2, "pageSize": 1}}, ["a"]),
    ],
)
def test_searching(path: str, condition: dict[str, Any], found: list[str]) -> None:
    asked = {"traceId": "trace", "traceState": "ALL", "queryOrder": "BY_START_TIME", "paging": {"pageSize": 9}}
    with opened(path) as store:
        store.add_snapshot(snapshot("a", 0))
        for identifier, service in (("a", "shop"), ("b", "other")):
            store.add_segment(segment(identifier, service), 0)
        query = "query($c: TraceQueryCondition){queryBasicTraces(condition: $c){traces{segmentId}}}"
        answer = Api(store).answer(query, {"c": asked | condition})
    assert [one["segmentId"] for one in answer["data"]["queryBasicTraces"]["traces"]] == found


# The command


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("90s", 90_000), ("30m", 1_800_000), ("12h", 43_200_000), ("7d", 7 * DAY)]
)
def test_times_as_people_write_them(text: str, value: int) -> None:
    assert quantities.milliseconds(text) == value


def test_sizes_as_people_write_them() -> None:
    assert [quantities.size(text) for text in ("0", "5kB", "500MB", "2GB", "1MiB")] == [
        *(0, 5_000, 500 * MEGABYTE, 2_000 * MEGABYTE, 1_048_576)
    ]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--retention", "7"], "argument --retention: not a number with one of s, m, h, d: '7'"),
        (["--retention=-7d"], "argument --retention: not a number with one of s, m, h, d: '-7d'"),
        (["--max-size", "1TB"], "argument --max-size: not a number with one of kB, MB, GB, KiB, MiB, GiB: '1TB'"),
        (["--max-size", "10kB"], "--max-size: at least 8000000 bytes are needed, or 0 for any number"),
        (["--store", "/"], "cannot use / as the store: Is a directory"),
    ],
)
def test_options_that_cannot_be(options: list[str], why: str) -> None:
    command = [sys.executable, "-m", "swprof_mw", "collector", "--grpc-port", "0", "--http-port", "0", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1].endswith(f": {why}" if "argument" in why else f"swprof: {why}")


# How much it takes in


def test_queries_do_not_wait_for_what_is_written(path: str) -> None:
    with opened(path) as store:
        store.seen("shop", "one", 0)
        with store._database.writing:
            store._database.writer.execute("BEGIN IMMEDIATE")
            store._database.writer.execute("DELETE FROM service")
            assert [one.name for one in store.services()] == ["shop"]
            store._database.writer.execute("ROLLBACK")


# What belongs together

LEFT_OVER = {
    "spans without a segment": "SELECT count(*) FROM spans WHERE id NOT IN (SELECT id FROM segment)",
    "segments without spans": "SELECT count(*) FROM segment WHERE id NOT IN (SELECT id FROM spans)",
    "segments of no profile": "SELECT count(*) FROM segment WHERE profile NOT IN (SELECT id FROM profile)",
    "snapshots of no profile": "SELECT count(*) FROM snapshot WHERE profile NOT IN (SELECT id FROM profile)",
    "stacks counted wrong": """SELECT count(*) FROM stack WHERE uses != (
        SELECT count(DISTINCT profile) FROM snapshot WHERE snapshot.stack = stack.id) OR uses < 1""",
    "snapshots counted wrong": """SELECT count(*) FROM profile WHERE snapshots != (
        SELECT count(*) FROM snapshot WHERE snapshot.profile = profile.id)""",
    "unused frames": "SELECT count(*) FROM frame WHERE uses < 1",
}


def faults(path: str) -> list[str]:
    """What does not fit together in a file that is closed."""
    found = [name for name, query in LEFT_OVER.items() if count(path, query)]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        frames = Counter(
            frame
            for (packed,) in connection.execute("SELECT frames FROM stack")
            for frame in set(unpack(f"<{len(packed) // 4}I", packed))
        )
        if dict(connection.execute("SELECT id, uses FROM frame").fetchall()) != frames:
            found.append("frames counted wrong")
        [integrity] = connection.execute("PRAGMA integrity_check").fetchone()
    return found if integrity == "ok" else [*found, str(integrity)]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_comes_and_goes_it_fits_together(path: str, seed: int) -> None:
    chance = random.Random(seed)
    times = [NOW]
    for _ in range(3):
        bounds = {"segments": 5, "snapshots": 60, "names": 3, "size": 60_000, "retention": 1_000}
        with opened(path, **bounds, clock=lambda: times[-1]) as store:
            for _ in range(150):
                times.append(times[-1] + chance.randrange(20))
                with contextlib.suppress(StoreError), store.acknowledged():
                    change(store, chance, times[-1])
                fill_disk(store, chance.random() < 0.1)
                if chance.random() < 0.05:
                    fill_disk(store, False)
                    store.expire()
            fill_disk(store, False)
        assert faults(path) == []


def change(store: Store, chance: random.Random, now: int) -> None:
    """Add a few things out of few."""
    for _ in range(chance.randrange(1, 12)):
        identifier = f"s{chance.randrange(12)}"
        if chance.random() < 0.3:
            service = chance.choice("abcd")
            store.add_segment(segment(identifier, service, "x" * chance.choice((1, 100, 9_000))), now)
        else:
            stack = [
                f"frame {chance.randrange(30)}" * chance.choice((1, 1, 100)) for _ in range(chance.randrange(1, 9))
            ]
            task = chance.choice(("t", "u"))
            store.add_snapshot(snapshot(identifier, chance.randrange(20), *stack, task=task))
