"""Records turned into messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from swprof_mw.clock import monotonic_ns
from swprof_mw.failures import guarded
from swprof_mw.native import sleep
from swprof_mw.records import Finish, Reference, Segment, Snapshot, TaskCommand
from swprof_mw.reporter import protocol

#: SkyWalking's ``SpanLayer`` of a request.
HTTP_LAYER = 3
#: So long one of our threads may keep the GIL, ns; the app's threads would wake late.
_GIL_SLICE = 400_000
_GIVE_WAY = 0.000_05
#: Looking at the clock costs too: so many records are encoded between two looks, if those before them took less, ns.
_AT_ONCE = 8
_QUICK = 25_000


def pairs(entries: Iterable[tuple[str, str]]) -> list[Any]:
    """``KeyStringValuePair`` messages."""
    return [protocol.KeyStringValuePair(key=key, value=clean(value)) for key, value in entries]


def clean(text: str) -> str:
    """Text that protobuf takes: a lone surrogate, as undecodable bytes of a path leave it, becomes a question mark."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def encoded(records: Sequence[Any], encoding: Callable[[Any], bytes]) -> list[bytes]:
    """Records as encoded messages, made in slices between which other threads get the GIL.

    Args:
        records: whatever ``encoding`` takes.
        encoding: encodes one of them. One that it fails for is left out.
    """
    made: list[bytes] = []
    since = now = monotonic_ns()
    done, count = 0, 1
    while done < len(records):
        began, some = now, records[done : done + count]
        done += count
        made += _encoded(some, encoding) or _those_that_can_be(some, encoding)
        now = monotonic_ns()
        count = min(count * 2, _AT_ONCE) if now - began < _QUICK else 1
        if now - since > _GIL_SLICE:
            sleep(_GIVE_WAY)
            since = now = monotonic_ns()
    return made


def whole(message: Callable[[Any], Any]) -> Callable[[Any], bytes]:
    """Encodes a record by the library alone, out of the message that ``message`` makes of it."""

    def encoding(record: Any) -> bytes:
        data: bytes = message(record).SerializeToString()
        return data

    return encoding


@guarded("encoding what is reported")
def _encoded(records: Sequence[Any], encoding: Callable[[Any], bytes]) -> list[bytes]:
    return [encoding(record) for record in records]


def _those_that_can_be(records: Sequence[Any], encoding: Callable[[Any], bytes]) -> list[bytes]:
    """One of them cannot be encoded: the others by themselves."""
    return [data for record in records for data in _encoded([record], encoding) or ()]


def collection(record: Segment) -> Any:
    """A ``SegmentCollection`` of one. Encoded ones, put together, are an encoded collection of them all."""
    return protocol.SegmentCollection(segments=[segment(record)])


def segment(record: Segment) -> Any:
    """A ``SegmentObject`` with its one span."""
    span = protocol.SpanObject(
        spanId=0,
        parentSpanId=-1,
        startTime=record.start,
        endTime=record.end,
        refs=[_reference(record.reference)] if record.reference else [],
        operationName=clean(record.operation),
        peer=clean(record.peer),
        spanLayer=HTTP_LAYER,
        componentId=record.component,
        isError=record.is_error,
        tags=pairs(record.tags),
        logs=[protocol.Log(time=record.end, data=pairs(record.log))] if record.log else [],
        skipAnalysis=record.skip_analysis,
    )
    return protocol.SegmentObject(
        traceId=record.trace_id,
        traceSegmentId=record.segment_id,
        spans=[span],
        service=record.service,
        serviceInstance=record.instance,
    )


def _reference(reference: Reference) -> Any:
    return protocol.SegmentReference(
        traceId=reference.trace_id,
        parentTraceSegmentId=reference.segment_id,
        parentSpanId=reference.span_id,
        parentService=reference.service,
        parentServiceInstance=reference.instance,
        parentEndpoint=reference.endpoint,
        networkAddressUsedAtPeer=reference.address,
    )


def snapshot(record: Snapshot) -> Any:
    """A ``ThreadSnapshot``."""
    return protocol.ThreadSnapshot(
        taskId=record.task_id,
        traceSegmentId=record.segment_id,
        time=record.time,
        sequence=record.sequence,
        stack=protocol.ThreadStack(codeSignatures=map(clean, record.stack)),
    )


def finish(record: Finish) -> Any:
    """A ``ProfileTaskFinishReport``."""
    return protocol.ProfileTaskFinishReport(
        service=record.service, serviceInstance=record.instance, taskId=record.task_id
    )


def commands(answer: Any) -> list[TaskCommand]:
    """The commands in a ``Commands`` message."""
    return [
        TaskCommand(command.command, {pair.key: pair.value for pair in command.args}) for command in answer.commands
    ]
