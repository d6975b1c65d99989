"""What a message must have to be kept. What is bad in one is told by ``Unusable``: it is refused, no other with it."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

LONGEST_RECORD = 1024 * 1024
"""Bytes of one segment or snapshot."""

MOST_SPANS = 500
MOST_PAIRS = 200
"""Tags of a span, logs of a span, entries of a log."""

LAST_TIME = 253_402_300_799_999
"""The end of the year 9999, ms since the epoch: later ones cannot be shown."""


class Unusable(ValueError):
    """A message that cannot be kept; the text says why."""


def parsed(kind: Any, data: bytes) -> Any:
    """The message of that kind in ``data``. Raises ``Unusable`` if there is none."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise Unusable(f"not a {kind.DESCRIPTOR.name}: {error}") from error


def named(message: Any) -> None:
    """Raise ``Unusable`` for a message that does not say which process it is from."""
    _demand(message, "service", "serviceInstance")


def segment(message: Any) -> None:
    """Raise ``Unusable`` for a ``SegmentObject`` that lacks an id, has a time that is none, or is too large."""
    _demand(message, "traceId", "traceSegmentId", "service", "serviceInstance")
    _demand_small(message)
    _demand_few(MOST_SPANS, "spans", message.spans)
    for span in message.spans:
        _demand_times(span.startTime, span.endTime)
        _demand_few(MOST_PAIRS, "tags", span.tags)
        _demand_few(MOST_PAIRS, "logs", span.logs)
        for log in span.logs:
            _demand_times(log.time)
            _demand_few(MOST_PAIRS, "entries of a log", log.data)


def snapshot(message: Any) -> None:
    """Raise ``Unusable`` for a ``ThreadSnapshot`` that lacks a part, has a bad time or number, or is too large."""
    _demand(message, "taskId", "traceSegmentId")
    _demand_small(message)
    _demand_times(message.time)
    if message.sequence < 0:
        raise Unusable(f"sequence is negative: {message.sequence}")
    if not message.stack.codeSignatures:
        raise Unusable("the stack is empty")


def _demand(message: Any, *names: str) -> None:
    missing = [name for name in names if not getattr(message, name)]
    if missing:
        raise Unusable(f"missing: {', '.join(missing)}")


def _demand_small(message: Any) -> None:
    if message.ByteSize() > LONGEST_RECORD:
        raise Unusable(f"longer than {LONGEST_RECORD} bytes")


def _demand_few(most: int, what: str, found: Any) -> None:
    if len(found) > most:
        raise Unusable(f"more than {most} {what}")


def _demand_times(*times: int) -> None:
    wrong = [time for time in times if not 0 <= time <= LAST_TIME]
    if wrong:
        raise Unusable(f"not a time in ms since the epoch: {wrong[0]}")
