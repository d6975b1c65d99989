"""From the protocol's messages to records. Names are cut to the lengths at which OAP cuts them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from swprof_mw.collector import components
from swprof_mw.collector.records import KeyValues, Segment, Snapshot, Span, SpanLog

NAME_LENGTH = 70
ENDPOINT_LENGTH = 150
LONGEST_PROPERTY = 500
"""Characters of an instance's property; the rest is cut off."""

OTHER = "UNRECOGNIZED"
"""What OAP calls a type or a layer of a newer protocol."""

SPAN_TYPES = ("Entry", "Exit", "Local")
SPAN_LAYERS = ("Unknown", "Database", "RPCFramework", "Http", "MQ", "Cache", "FAAS")
LANGUAGES = frozenset({"JAVA", "DOTNET", "NODEJS", "PYTHON", "RUBY", "GO", "LUA", "PHP"})


def segment(message: Any) -> Segment | None:
    """A ``SegmentObject``; ``None`` if it has no span: there is nothing to show of it."""
    if not message.spans:
        return None
    return Segment(
        trace_id=message.traceId,
        segment_id=message.traceSegmentId,
        service=message.service[:NAME_LENGTH],
        instance=message.serviceInstance[:NAME_LENGTH],
        spans=tuple(_span(one) for one in message.spans),
    )


def _span(message: Any) -> Span:
    return Span(
        span_id=message.spanId,
        parent_span_id=message.parentSpanId,
        start_time=message.startTime,
        end_time=message.endTime,
        endpoint_name=message.operationName[:ENDPOINT_LENGTH],
        type=_choose(SPAN_TYPES, message.spanType),
        layer=_choose(SPAN_LAYERS, message.spanLayer),
        peer=message.peer,
        component=components.name(message.componentId),
        is_error=message.isError,
        skip_analysis=message.skipAnalysis,
        tags=_pairs(message.tags),
        logs=tuple(SpanLog(log.time, _pairs(log.data)) for log in message.logs),
    )


def snapshot(message: Any) -> Snapshot:
    """A ``ThreadSnapshot``."""
    return Snapshot(
        task_id=message.taskId,
        segment_id=message.traceSegmentId,
        time=message.time,
        sequence=message.sequence,
        stack=tuple(message.stack.codeSignatures),
    )


def properties(pairs: Iterable[Any]) -> tuple[str | None, KeyValues]:
    """An instance's language (``None`` if not told) and its other properties, the addresses joined as ``ipv4s``."""
    told = [(key[:LONGEST_PROPERTY], value[:LONGEST_PROPERTY]) for key, value in _pairs(pairs)]
    languages = [value.upper() for key, value in told if key == "language"]
    others = {key: value for key, value in told if key not in ("language", "ipv4")}
    others["ipv4s"] = ",".join(value for key, value in told if key == "ipv4")[:LONGEST_PROPERTY]
    known = [language if language in LANGUAGES else "UNKNOWN" for language in languages]
    return (known[-1] if known else None), tuple(others.items())


def _pairs(pairs: Iterable[Any]) -> KeyValues:
    return tuple((pair.key, pair.value) for pair in pairs)


def _choose(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else OTHER
