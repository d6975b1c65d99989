"""Everything the collector was told, in a SQLite file or in memory, bounded: the newest is kept, the oldest goes."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from swprof_mw.collector import heard, profiles, search, segments, task_list
from swprof_mw.collector.commits import Commits
from swprof_mw.collector.database import Database
from swprof_mw.collector.profiles import Profiles
from swprof_mw.collector.records import Endpoint, Instance, KeyValues, Segment, Service, Snapshot, Task, TaskLog
from swprof_mw.collector.search import Search
from swprof_mw.collector.segments import Segments

T = TypeVar("T")

DAY = 86_400_000
RETENTION = 7 * DAY
"""Ms for which a file keeps what came in, where nothing else is said."""

MAX_SIZE = 1_000_000_000
"""Bytes of a file, where nothing else is said."""

LEAST_SIZE = 8_000_000
"""Bytes of a file: its tables and what is on the way into them have to fit."""

IN_MEMORY = (1_000, 200_000, 256 * 1024 * 1024)
IN_FILE = (100_000, 2**62, 2**62)
"""Segments of a service, snapshots in all, and bytes of each of both; a file is bounded by its size instead."""

_STEP = 0.02
_LONG_STEP = 0.2
"""Seconds for which old records are deleted at a time: agents wait meanwhile. The second is for lack of room."""

_ENDLESS = 2**62


class Store:
    """Safe to use from any thread; what it returns are copies.

    What is added is committed before the call returns, or before ``acknowledged`` is left: it survives the end of the
    process, however that ends, if there is a file. Whatever adds raises ``StoreError`` if it cannot be kept.

    Args:
        path: of the file; empty: in memory.
        retention: ms for which records are kept, as far as ``expire`` is called; 0: as long as there is room.
        max_size: bytes of the file and its write-ahead log; 0: any. What came first goes first, a profile as a whole.
        segments: kept for each service; 1,000 in memory, 100,000 in a file. A profiled segment does not count: it
            stays as long as its snapshots.
        snapshots: kept in all; 200,000 in memory. The oldest segment's go first, all of them: a profile with holes
            misleads.
        names: services, and for each of them instances and endpoints; tasks in all, and logs of each task.
        size: bytes, roughly, of the profiled segments with their snapshots, and as many of the others; 256 MiB in
            memory.
        clock: what time it is, ms since the epoch.

    Raises:
        StoreError: the file cannot be opened, or is no store.
    """

    def __init__(
        self,
        path: str = "",
        retention: int = 0,
        max_size: int = 0,
        *,
        segments: int | None = None,
        snapshots: int | None = None,
        names: int = 1_000,
        size: int | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.retention, self._clock = retention, clock
        self._database = Database(path)
        # The file grows by a transaction before old records are deleted, and that takes its place in the log, too.
        share = self._database.bound_log(max_size)
        self._room = max_size - 2 * share if max_size else _ENDLESS
        writer = self._database.writer
        each, most, most_bytes = IN_FILE if path else IN_MEMORY
        size = most_bytes if size is None else size
        self._heard = heard.Heard(writer, names)
        self._tasks = task_list.TaskList(writer, names)
        self._segments = Segments(writer, each if segments is None else segments, size)
        self._profiles = Profiles(writer, most if snapshots is None else snapshots, size)
        self._commits = Commits(self._database, self._finish, self._load, share // 8)

    # What agents tell

    def acknowledged(self) -> contextlib.AbstractContextManager[None]:
        """Left once all that this thread has added inside is committed; it does not wait for each single thing then.

        Raises ``StoreError`` if some of it could not be kept.
        """
        return self._commits.acknowledged()

    def seen(self, service: str, instance: str, now: int, layer: str = "GENERAL") -> None:
        """A process of ``service`` was heard of at ``now``."""
        self._commits.add(lambda: self._see(service, instance, now, layer))

    def described(self, service: str, instance: str, now: int, language: str | None, properties: KeyValues) -> None:
        """A process told its properties, added to those it told before. By itself this makes no service known."""

        def change() -> None:
            self._see(service, instance, now)
            self._heard.describe(service, instance, language, properties)

        self._commits.add(change)

    def add_segment(self, segment: Segment, now: int) -> None:
        """Keep a segment, and what is learnt from it: its service, instance and endpoints."""
        self._commits.add(lambda: self._add_segment(segment, now))

    def add_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot. One that has the number of an earlier one of its segment is ignored, as OAP does."""
        self._commits.add(lambda: self._add_snapshot(snapshot))

    def add_log(self, log: TaskLog) -> None:
        """Keep what an instance did with a task; for a task that is not known, nothing."""
        self._commits.add(lambda: self._tasks.log(log))

    # What people do

    def add_task(self, task: Task) -> Task | None:
        """Keep a task unless another of its service runs at its time; then ``None``.

        Its time of creation is moved on if needed, so that it is newer than each earlier task's: by that time
        agents tell what they know.
        """
        added: list[Task | None] = []
        self._commits.now(lambda: added.append(self._tasks.add(task)))
        return added[0]

    def services(self) -> list[Service]:
        """The services that were heard of, the longest known first."""
        return self._read(heard.services)

    def instances(self, service: str) -> list[Instance]:
        """The processes of the service of that name, the longest known first."""
        return self._read(lambda reader: heard.instances(reader, service))

    def endpoints(self, service: str) -> list[Endpoint]:
        """The endpoints of the service of that name, the longest known first."""
        return self._read(lambda reader: heard.endpoints(reader, service))

    def segments(self) -> list[Segment]:
        """All segments."""
        return self._read(segments.every)

    def search(self, asked: Search) -> list[Segment]:
        """The segments that are asked for."""
        return self._read(lambda reader: search.find(reader, asked))

    def snapshots(self, segment_id: str) -> list[Snapshot]:
        """The snapshots of a segment in the order of their numbers; none if it is not known."""
        return self._read(lambda reader: profiles.snapshots(reader, segment_id))

    def profiled(self, task_id: str) -> list[Segment]:
        """The segments a task has profiled: those that are kept and have the task's snapshot number 0."""
        return self._read(lambda reader: segments.profiled(reader, task_id))

    def tasks(self, service_id: str | None = None) -> list[Task]:
        """The tasks of one service or of all, the latest start first."""
        return self._read(lambda reader: task_list.tasks(reader, service_id))

    def logs(self, task_id: str) -> list[TaskLog]:
        """What instances did with a task, the newest first."""
        return self._read(lambda reader: task_list.logs(reader, task_id))

    # What time does

    @property
    def used(self) -> int:
        """Bytes that the data take."""
        with self._database.writing:
            return self._database.used

    def expire(self) -> bool:
        """Delete some of what is older than the retention or has no room; whether there is more of it.

        Raises ``StoreError`` if the file cannot be written.
        """
        left: list[bool] = []
        self._commits.now(lambda: left.append(self._expire()))
        with self._database.writing:
            return self._database.shrink(self._room) or left[0]

    def close(self) -> None:
        """Close the file; whatever is asked or added from now on fails. May be called again."""
        if not self._database.closed:
            self._commits.pending()
        self._database.close()

    # Within a transaction

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        self._commits.pending()  # what an open stream has brought so far can be seen
        with self._database.reading() as reader:
            return query(reader)

    def _see(self, service: str, instance: str, now: int, layer: str | None = None) -> None:
        self._forget(self._heard.see(service, instance, now, layer) + self._heard.bound())

    def _add_segment(self, segment: Segment, now: int) -> None:
        forgotten = self._heard.see(segment.service, segment.instance, now, "GENERAL")
        self._heard.name(segment.service, segment.endpoints, now)
        self._forget(forgotten + self._heard.bound())
        if earlier := self._segments.find(segment.segment_id):
            self._segments.drop(earlier)
            if earlier.profile is not None:
                self._profiles.release(segment.segment_id, earlier.weight)
        profile = self._profiles.number(segment.segment_id)
        if profile is not None:
            if self._profiles.take(segment.segment_id, segment.weight):
                self._segments.insert(segment, now, profile)
        elif self._heard.is_known(segment.service):
            self._segments.add(segment, now)

    def _add_snapshot(self, snapshot: Snapshot) -> None:
        profile = self._profiles.add(snapshot, self._clock())
        kept = self._segments.find(snapshot.segment_id) if profile is not None else None
        if profile is None or kept is None:
            return
        if self._profiles.take(snapshot.segment_id, kept.weight):
            self._segments.give(kept, profile)
        else:
            self._segments.drop(kept)

    def _forget(self, services: list[str]) -> None:
        for service in services:
            self._segments.forget(service)

    def _finish(self) -> None:
        if self._database.used > self._room:
            self._delete(self._has_no_room, _LONG_STEP)
        self._profiles.write_counts()

    def _expire(self) -> bool:
        if not self.retention:
            return self._delete(self._has_no_room)
        before = self._clock() - self.retention
        self._tasks.expire(before)
        left = self._delete(lambda received: received < before or self._has_no_room(received))
        self._heard.expire(before)
        return left

    def _has_no_room(self, _received: int) -> bool:
        return self._database.used > self._room

    def _delete(self, is_due: Callable[[int], bool], seconds: float = _STEP) -> bool:
        """Delete the oldest profiles and segments while they are due, for a short time; whether there are more."""
        until = time.monotonic() + seconds
        while (oldest := self._oldest()) is not None and is_due(oldest[0]):
            if time.monotonic() > until:
                return True
            oldest[1]()
        return False

    def _oldest(self) -> tuple[int, Callable[[], None]] | None:
        """What came first: when, and what deletes it."""
        found: list[tuple[int, Callable[[], None]]] = []
        if segment := self._segments.oldest():
            found.append((segment[1], lambda: self._segments.drop(segment[0])))
        if profile := self._profiles.oldest():
            found.append((profile[1], lambda: self._profiles.drop(profile[0])))
        return min(found, key=lambda pair: pair[0], default=None)

    def _load(self) -> None:
        self._heard.load()
        self._segments.load()
        self._profiles.load()
