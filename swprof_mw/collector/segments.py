"""Segments as a table. Those without snapshots are bounded here; the others belong to a profile, and go with it."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from swprof_mw.collector.records import KeyValues, Segment, Span, SpanLog

SEARCHABLE = frozenset({"http.method", "http.status_code", "status_code"})
"""Tags that can be searched for; OAP indexes few, and ``http.url`` is none of them."""

_READ = (
    "SELECT segment.trace_id, segment.segment_id, segment.service, segment.instance, spans.spans"
    " FROM segment JOIN spans USING (id)"
)


class Kept(NamedTuple):
    """A segment's row: its number, bytes, and the number of the profile it belongs to."""

    id: int
    weight: int
    service: str
    profile: int | None


class Segments:
    """Changes the table, within the transaction of the caller.

    Args:
        writer: the connection.
        each: segments without snapshots that are kept of each service.
        size: bytes of them all, roughly.
    """

    def __init__(self, writer: sqlite3.Connection, each: int, size: int) -> None:
        self._writer, self._max_each, self._max_size = writer, each, size
        self.load()

    def load(self) -> None:
        """Count what the table holds."""
        rows = self._writer.execute(
            "SELECT service, count(*), sum(weight) FROM segment WHERE profile IS NULL GROUP BY service"
        ).fetchall()
        self._counts = Counter({service: count for service, count, _ in rows})
        self._size = sum(weight for _, _, weight in rows)

    def find(self, segment_id: str) -> Kept | None:
        """The row of a segment, if there is one."""
        found = self._writer.execute(
            "SELECT id, weight, service, profile FROM segment WHERE segment_id = ?", (segment_id,)
        ).fetchone()
        return Kept(*found) if found else None

    def add(self, segment: Segment, now: int) -> None:
        """Keep a segment that has no snapshots, and drop the oldest ones where there are too many."""
        self.insert(segment, now, None)
        self._count(segment.service, 1, segment.weight)
        while self._counts[segment.service] > self._max_each:
            self._drop_first("service = ?", segment.service)
        while self._size > self._max_size:
            self._drop_first()

    def insert(self, segment: Segment, now: int, profile: int | None) -> None:
        """Put in a row for a segment that has none."""
        made = self._writer.execute(
            "INSERT INTO segment (segment_id, trace_id, service, instance, endpoint, start, duration, is_error, tags,"
            " weight, received, profile) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*_columns(segment), now, profile),
        )
        self._writer.execute("INSERT INTO spans VALUES (?, ?)", (made.lastrowid, _written(segment.spans)))

    def give(self, kept: Kept, profile: int) -> None:
        """Let a segment belong to a profile from now on."""
        self._writer.execute("UPDATE segment SET profile = ? WHERE id = ?", (profile, kept.id))
        self._count(kept.service, -1, -kept.weight)

    def drop(self, kept: Kept) -> None:
        """Delete a row."""
        self._writer.execute("DELETE FROM segment WHERE id = ?", (kept.id,))
        self._writer.execute("DELETE FROM spans WHERE id = ?", (kept.id,))
        if kept.profile is None:
            self._count(kept.service, -1, -kept.weight)

    def forget(self, service: str) -> None:
        """Drop the segments of a service that have no snapshots."""
        while self._counts[service]:
            self._drop_first("service = ?", service)

    def oldest(self) -> tuple[Kept, int] | None:
        """The first of those without snapshots, and when it came, ms since the epoch."""
        found = self._first("received")
        return (found[0], found[1]) if found else None

    def _drop_first(self, where: str = "true", *values: str) -> None:
        found = self._first("0", where, *values)
        assert found is not None, "more segments are counted than there are"
        self.drop(found[0])

    def _first(self, more: str, where: str = "true", *values: str) -> tuple[Kept, int] | None:
        found = self._writer.execute(
            f"SELECT id, weight, service, profile, {more} FROM segment"  # noqa: S608
            f" WHERE profile IS NULL AND {where} ORDER BY id LIMIT 1",
            values,
        ).fetchone()
        return (Kept(*found[:4]), found[4]) if found else None

    def _count(self, service: str, count: int, weight: int) -> None:
        self._counts[service] += count
        self._size += weight
        if not self._counts[service]:
            del self._counts[service]


def every(reader: sqlite3.Connection) -> list[Segment]:
    """All segments: those without snapshots first, in the order in which they came."""
    return _segments(reader.execute(f"{_READ} ORDER BY segment.profile, segment.id"))


def profiled(reader: sqlite3.Connection, task_id: str) -> list[Segment]:
    """Those that have snapshot number 0 of a task."""
    rows = reader.execute(
        f"{_READ} JOIN profile ON profile.id = segment.profile WHERE profile.first_task = ? ORDER BY profile.id",
        (task_id,),
    )
    return _segments(rows)


def numbered(reader: sqlite3.Connection, numbers: list[int]) -> list[Segment]:
    """Those of these rows, in this order."""
    return [one for number in numbers for one in _segments(reader.execute(f"{_READ} WHERE id = ?", (number,)))]


def encoded_tag(key: str, value: str) -> str:
    """A tag as the column ``tags`` holds it: no other tag's has this as a part."""
    return json.dumps([key, value], ensure_ascii=False)


def _columns(segment: Segment) -> tuple[str | int, ...]:
    tags = {encoded_tag(*tag) for span in segment.spans for tag in span.tags if tag[0] in SEARCHABLE}
    return (
        segment.segment_id,
        segment.trace_id,
        segment.service,
        segment.instance,
        segment.endpoint_name,
        segment.start,
        segment.duration,
        segment.is_error,
        "".join(sorted(tags)),
        segment.weight,
    )


def _written(spans: Iterable[Span]) -> str:
    rows = [
        (
            *(one.span_id, one.parent_span_id, one.start_time, one.end_time, one.endpoint_name, one.type, one.layer),
            *(one.peer, one.component, one.is_error, one.skip_analysis, one.tags),
            [(log.time, log.data) for log in one.logs],
        )
        for one in spans
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def _segments(rows: Iterable[tuple[str, str, str, str, str]]) -> list[Segment]:
    return [Segment(trace, segment, service, one, _read(spans)) for trace, segment, service, one, spans in rows]


def _read(text: str) -> tuple[Span, ...]:
    return tuple(
        Span(*[*columns, _pairs(tags), tuple(SpanLog(time, _pairs(data)) for time, data in logs)])
        for *columns, tags, logs in json.loads(text)
    )


def _pairs(pairs: list[list[str]]) -> KeyValues:
    return tuple((key, value) for key, value in pairs)
