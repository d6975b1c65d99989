"""What requests and the sampler hand to the reporter: plain tuples, turned into messages on its own thread."""

from __future__ import annotations

from typing import NamedTuple, Protocol

#: So many of them go in one call, at the most.
SEGMENTS = 500
SNAPSHOTS = 500


class Reference(NamedTuple):
    """The caller's span that a segment continues, as the ``sw8`` header told it."""

    trace_id: str
    segment_id: str
    span_id: int
    service: str
    instance: str
    endpoint: str
    address: str


class Segment(NamedTuple):
    """One finished entry span. Times in ms since the epoch; ``log`` holds what an exception left."""

    trace_id: str
    segment_id: str
    service: str
    instance: str
    operation: str
    start: int
    end: int
    peer: str
    component: int
    is_error: bool
    tags: tuple[tuple[str, str], ...]
    log: tuple[tuple[str, str], ...]
    reference: Reference | None
    skip_analysis: bool

    def segment(self) -> Segment:
        """As of `Ended`."""
        return self


class Ended(Protocol):
    """What is over, and becomes a segment when it is sent: until then there is only a request's own object."""

    def segment(self) -> Segment:
        """What is reported of it. On the reporter's thread, and again if it is sent again."""


class Snapshot(NamedTuple):
    """One stack of a profiled request, code signatures outermost first; ``time`` in ms since the epoch."""

    task_id: str
    segment_id: str
    time: int
    sequence: int
    stack: tuple[str, ...]


class TaskCommand(NamedTuple):
    """A command of the backend: its name and its arguments, all of them text."""

    name: str
    arguments: dict[str, str]


class Finish(NamedTuple):
    """The end of a profile task in this instance."""

    service: str
    instance: str
    task_id: str
