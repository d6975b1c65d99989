"""What the collector keeps, as plain values: no protobuf, no GraphQL. All times are ms since the epoch."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from swprof_mw.collector import ids

MINUTE = 60_000
INT_RANGE = 2**31 - 1
"""GraphQL's Int is 32 bits wide: a span that was never ended would not fit."""

KeyValues = tuple[tuple[str, str], ...]
Stack = tuple[str, ...]

_RECORD = 500
_PAIR = 70
"""Bytes that a span or an instance, and a pair of texts, take besides the texts."""


def within_int(number: int) -> int:
    """The number, or the nearest one that GraphQL's Int can hold."""
    return max(-INT_RANGE, min(number, INT_RANGE))


def weigh(pairs: KeyValues) -> int:
    """The bytes that they take, roughly."""
    return sum(_PAIR + sys.getsizeof(key) + sys.getsizeof(value) for key, value in pairs)


class Snapshot(NamedTuple):
    """One stack of a profiled request: ``sequence`` numbers a segment's snapshots, ``stack`` is outermost first."""

    task_id: str
    segment_id: str
    time: int
    sequence: int
    stack: Stack


@dataclass(frozen=True)
class SpanLog:
    """An event inside a span."""

    time: int
    data: KeyValues


@dataclass(frozen=True)
class Span:
    """One span of a segment; ``type`` and ``layer`` are the names that OAP gives them (``Entry``, ``Http``)."""

    span_id: int
    parent_span_id: int
    start_time: int
    end_time: int
    endpoint_name: str
    type: str
    layer: str
    peer: str = ""
    component: str = "N/A"
    is_error: bool = False
    skip_analysis: bool = False
    tags: KeyValues = ()
    logs: tuple[SpanLog, ...] = ()

    @property
    def weight(self) -> int:
        """The bytes that it takes, roughly."""
        texts = sys.getsizeof(self.endpoint_name) + sys.getsizeof(self.peer)
        return _RECORD + texts + weigh(self.tags) + sum(_PAIR + weigh(log.data) for log in self.logs)


@dataclass(frozen=True)
class Segment:
    """One request in one process: its spans, in the order in which they were reported."""

    trace_id: str
    segment_id: str
    service: str
    instance: str
    spans: tuple[Span, ...]

    @property
    def start(self) -> int:
        """Start of its earliest span."""
        return min(span.start_time for span in self.spans)

    @property
    def duration(self) -> int:
        """From the earliest start to the latest end, ms; within 32 bits."""
        length = max(span.end_time for span in self.spans) - self.start
        return within_int(length)

    @cached_property
    def weight(self) -> int:
        """The bytes that it takes, roughly."""
        return _RECORD + sum(span.weight for span in self.spans)

    @property
    def is_error(self) -> bool:
        """Whether any of its spans is marked as an error."""
        return any(span.is_error for span in self.spans)

    @property
    def endpoint_name(self) -> str:
        """What it is listed as: the last reported of its first span and its entry spans, as OAP picks it."""
        names = [span.endpoint_name or ids.BLANK for span in self.spans if span.span_id == 0 or span.type == "Entry"]
        return names[-1] if names else ""

    @property
    def endpoints(self) -> list[str]:
        """The endpoints a person can pick because of this segment."""
        return [span.endpoint_name for span in self.spans if span.type == "Entry" and not span.skip_analysis]


@dataclass(frozen=True)
class Service:
    """A service that was heard of."""

    name: str
    layer: str = "GENERAL"


@dataclass(frozen=True)
class Instance:
    """A process of a service, with the properties it reported last; ``language`` as GraphQL's enum has it."""

    service: str
    name: str
    first_seen: int
    last_seen: int
    language: str = "UNKNOWN"
    properties: KeyValues = ()


@dataclass(frozen=True)
class Endpoint:
    """An endpoint of a service."""

    service: str
    name: str
    first_seen: int


@dataclass(frozen=True)
class TaskLog:
    """What an instance did with a task: ``operation`` is ``NOTIFIED`` or ``EXECUTION_FINISHED``."""

    task_id: str
    service: str
    instance: str
    operation: str
    time: int


@dataclass(frozen=True)
class Task:
    """A profile task: ``duration`` in minutes, ``min_duration_threshold`` and ``dump_period`` in ms."""

    service_id: str
    endpoint_name: str
    start_time: int
    duration: int
    min_duration_threshold: int
    dump_period: int
    max_sampling_count: int
    create_time: int

    @property
    def id(self) -> str:
        """As OAP forms it: when it was created and for which service."""
        return f"{self.create_time}_{self.service_id}"

    @property
    def service_name(self) -> str:
        """The name in ``service_id``."""
        return ids.service_name(self.service_id)

    @property
    def end_time(self) -> int:
        """When it is over."""
        return self.start_time + self.duration * MINUTE

    def clashes(self, other: Task) -> bool:
        """Whether it would run while ``other`` does; OAP compares starts by the minute, and so do we."""
        return other.end_time >= self.start_time and other.start_time // MINUTE <= self.end_time // MINUTE

    def created_at(self, time: int) -> Task:
        """The same task with another time of creation."""
        return replace(self, create_time=time)
