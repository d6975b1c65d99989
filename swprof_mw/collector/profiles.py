"""The snapshots of profiled requests as tables, bounded: the oldest profile goes first, and whole.

Stacks are kept apart: a snapshot is a row of four numbers.
"""

from __future__ import annotations

import sqlite3
import sys
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from swprof_mw.collector import stacks
from swprof_mw.collector.records import Snapshot, Stack

MOST_OPEN = 512
"""Profiles of which is noted what they hold: those that snapshots came for last."""

_SNAPSHOT = 250
_FRAME = 8


@dataclass
class _Open:
    """A profile that grows: ``stacks`` are numbers by digest, ``texts`` the hashes of its frames."""

    id: int
    segment_id: str
    task_id: str
    snapshots: int = 0
    weight: int = 0
    first_task: str | None = None
    stacks: dict[bytes, int] = field(default_factory=dict)
    texts: set[int] = field(default_factory=set)
    changed: bool = False

    def weigh(self, stack: Stack, digest: bytes) -> int:
        """The bytes that a snapshot of this stack adds, roughly."""
        if digest in self.stacks:
            return _SNAPSHOT
        new = {text for text in stack if hash(text) not in self.texts}
        return _SNAPSHOT + 2 * _FRAME * len(stack) + sum(sys.getsizeof(text) for text in new)


class Profiles:
    """Changes the tables, within the transaction of the caller.

    Args:
        writer: the connection.
        count: snapshots in all.
        size: bytes in all, roughly, those of the segments included.
    """

    def __init__(self, writer: sqlite3.Connection, count: int, size: int) -> None:
        self._writer, self._max_count, self._max_size = writer, count, size
        self._stacks = stacks.Stacks(writer)
        self.load()

    def load(self) -> None:
        """Count what the tables hold."""
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._changed: list[_Open] = []
        self._count, self._size = self._writer.execute(
            "SELECT coalesce(sum(snapshots), 0), coalesce(sum(weight), 0) FROM profile"
        ).fetchone()

    def number(self, segment_id: str) -> int | None:
        """The number of a segment's profile, if it has one."""
        profile = self._profile(segment_id)
        return profile.id if profile else None

    def add(self, snapshot: Snapshot, now: int) -> int | None:
        """Keep a snapshot, if no earlier one of its segment has its number, and its profile does not fill the store.

        Returns the number of its profile if that is new.
        """
        profile = self._profile(snapshot.segment_id)
        if profile is not None and self._has(profile.id, snapshot.sequence):
            return None
        digest = stacks.digest_of(snapshot.stack)
        weight = (profile or _Open(0, "", "")).weigh(snapshot.stack, digest)
        if not self._make_room(1, weight, snapshot.segment_id):
            return None
        grown = profile or self._begin(snapshot, now)
        self._insert(grown, snapshot, digest)
        self._grow(grown, 1, weight)
        return grown.id if profile is None else None

    def take(self, segment_id: str, weight: int) -> bool:
        """Whether there is room for the segment that a profile is of; it counts to the profile then."""
        profile = self._profile(segment_id)
        if profile is None or not self._make_room(0, weight, segment_id):
            return False
        self._grow(profile, 0, weight)
        return True

    def release(self, segment_id: str, weight: int) -> None:
        """The profile's segment is going to be replaced."""
        if profile := self._profile(segment_id):
            self._grow(profile, 0, -weight)

    def oldest(self) -> tuple[str, int] | None:
        """The segment of the oldest profile, and when that began, ms since the epoch."""
        found: tuple[str, int] | None = self._writer.execute(
            "SELECT segment_id, received FROM profile ORDER BY id LIMIT 1"
        ).fetchone()
        return found

    def drop(self, segment_id: str) -> None:
        """Delete a profile with its segment, and the stacks and frames that no other has."""
        number, count, weight = self._writer.execute(
            "SELECT id, snapshots, weight FROM profile WHERE segment_id = ?", (segment_id,)
        ).fetchone()
        if known := self._open.pop(segment_id, None):
            count, weight, known.changed = known.snapshots, known.weight, False
        self._count -= count
        self._size -= weight
        used = _column(self._writer.execute("SELECT DISTINCT stack FROM snapshot WHERE profile = ?", (number,)))
        self._writer.execute("DELETE FROM snapshot WHERE profile = ?", (number,))
        self._stacks.release(used)
        self._writer.execute("DELETE FROM spans WHERE id IN (SELECT id FROM segment WHERE profile = ?)", (number,))
        self._writer.execute("DELETE FROM segment WHERE profile = ?", (number,))
        self._writer.execute("DELETE FROM profile WHERE id = ?", (number,))

    def write_counts(self) -> None:
        """Write down what has grown; to be done at the end of each transaction."""
        rows = [(one.snapshots, one.weight, one.first_task, one.id) for one in self._changed if one.changed]
        self._writer.executemany("UPDATE profile SET snapshots = ?, weight = ?, first_task = ? WHERE id = ?", rows)
        for one in self._changed:
            one.changed = False
        self._changed.clear()
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)

    def _profile(self, segment_id: str) -> _Open | None:
        profile = self._open.get(segment_id) or self._read(segment_id)
        if profile is not None:
            self._open[segment_id] = profile
            self._open.move_to_end(segment_id)
        return profile

    def _read(self, segment_id: str) -> _Open | None:
        row = self._writer.execute(
            "SELECT id, segment_id, task_id, snapshots, weight, first_task FROM profile WHERE segment_id = ?",
            (segment_id,),
        ).fetchone()
        if row is None:
            return None
        used = self._writer.execute(
            "SELECT digest, id, frames FROM stack WHERE id IN (SELECT stack FROM snapshot WHERE profile = ?)", (row[0],)
        ).fetchall()
        frames = {frame for _, _, packed in used for frame in stacks.unpacked(packed)}
        texts = {hash(text) for text in stacks.texts(self._writer, frames).values()}
        return _Open(*[*row, {digest: number for digest, number, _ in used}, texts])

    def _has(self, profile: int, sequence: int) -> bool:
        asked = "SELECT 1 FROM snapshot WHERE profile = ? AND sequence = ?"
        return self._writer.execute(asked, (profile, sequence)).fetchone() is not None

    def _begin(self, snapshot: Snapshot, now: int) -> _Open:
        made = self._writer.execute(
            "INSERT INTO profile (segment_id, task_id, snapshots, weight, received) VALUES (?, ?, 0, 0, ?)",
            (snapshot.segment_id, snapshot.task_id, now),
        )
        profile = _Open(made.lastrowid or 0, snapshot.segment_id, snapshot.task_id)
        self._open[snapshot.segment_id] = profile
        return profile

    def _insert(self, profile: _Open, snapshot: Snapshot, digest: bytes) -> None:
        stack = profile.stacks.get(digest)
        if stack is None:
            stack = profile.stacks[digest] = self._stacks.use(snapshot.stack, digest)
            profile.texts.update(map(hash, snapshot.stack))
        if snapshot.sequence == 0:
            profile.first_task = snapshot.task_id
        task = None if snapshot.task_id == profile.task_id else snapshot.task_id
        self._writer.execute(
            "INSERT INTO snapshot VALUES (?, ?, ?, ?, ?)",
            (profile.id, snapshot.sequence, snapshot.time, stack, task),
        )

    def _make_room(self, count: int, weight: int, segment_id: str) -> bool:
        """Drop the profiles that are older than that of this segment, as far as needed. False if it is not enough."""
        while self._count + count > self._max_count or self._size + weight > self._max_size:
            oldest = self.oldest()
            if oldest is None or oldest[0] == segment_id:
                return False
            self.drop(oldest[0])
        return True

    def _grow(self, profile: _Open, count: int, weight: int) -> None:
        profile.snapshots += count
        profile.weight += weight
        self._count += count
        self._size += weight
        if not profile.changed:
            profile.changed = True
            self._changed.append(profile)


def snapshots(reader: sqlite3.Connection, segment_id: str) -> list[Snapshot]:
    """The snapshots of a segment in the order of their numbers. Equal stacks are one object, and so are frames."""
    found = reader.execute("SELECT id, task_id FROM profile WHERE segment_id = ?", (segment_id,)).fetchone()
    if found is None:
        return []
    number, task_id = found
    found_stacks = stacks.of_profile(reader, number)
    rows = reader.execute(
        "SELECT task_id, time, sequence, stack FROM snapshot WHERE profile = ? ORDER BY sequence", (number,)
    )
    return [
        Snapshot(task or task_id, segment_id, time, sequence, found_stacks[stack])
        for task, time, sequence, stack in rows
    ]


def _column(rows: Iterable[tuple[int]]) -> list[int]:
    return [value for (value,) in rows]
