"""Looking for segments by what their columns say, without reading their spans."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from swprof_mw.collector import segments
from swprof_mw.collector.records import Segment

Condition = tuple[str, str | int]


@dataclass(frozen=True)
class Search:
    """What is looked for, and which part of what is found.

    Attributes:
        trace_id, service, instance, endpoint: exactly these; ``None``: any.
        since, until: the start from when to before when, ms since the epoch.
        shortest, longest: the duration, ms, both included.
        is_error: whether a span is marked as an error.
        tags: key and value of each one that a span must have, of those that can be searched for.
        by_duration: the longest first, otherwise the latest start.
        first, count: so many are skipped, and so many returned at the most.
    """

    trace_id: str | None = None
    service: str | None = None
    instance: str | None = None
    endpoint: str | None = None
    since: int | None = None
    until: int | None = None
    shortest: int | None = None
    longest: int | None = None
    is_error: bool | None = None
    tags: Sequence[tuple[str, str]] = ()
    by_duration: bool = False
    first: int = 0
    count: int = 100

    def conditions(self) -> list[Condition]:
        """As SQL, each with its value."""
        asked: list[tuple[str, str | int | None]] = [
            ("trace_id = ?", self.trace_id),
            ("service = ?", self.service),
            ("instance = ?", self.instance),
            ("endpoint = ?", self.endpoint),
            ("start >= ?", self.since),
            ("start < ?", self.until),
            ("duration >= ?", self.shortest),
            ("duration <= ?", self.longest),
            ("is_error = ?", self.is_error),
        ]
        tags: list[Condition] = [("instr(tags, ?)", segments.encoded_tag(*tag)) for tag in self.tags]
        return [(condition, value) for condition, value in asked if value is not None] + tags


def find(reader: sqlite3.Connection, asked: Search) -> list[Segment]:
    """The segments that meet all conditions."""
    conditions = asked.conditions()
    where = " AND ".join(condition for condition, _ in conditions) or "true"
    order = "duration" if asked.by_duration else "start"
    rows = reader.execute(
        f"SELECT id FROM segment WHERE {where} ORDER BY {order} DESC, profile, id LIMIT ? OFFSET ?",  # noqa: S608
        (*(value for _, value in conditions), asked.count, asked.first),
    )
    return segments.numbered(reader, [number for (number,) in rows])
