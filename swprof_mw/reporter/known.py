"""Segments and snapshots encoded out of parts that are known already.

Most of what a record says was said by others before it: the names, the tags, the frames. Such a part is encoded once
and kept; what is a record's own is written here. Fields of a message that are encoded one by one, put together in any
order, are the encoded message (https://protobuf.dev/programming-guides/encoding): a number is its field's tag,
``field << 3``, and the number as a varint; text or a message is ``field << 3 | 2``, the length as a varint, the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from swprof_mw.records import Ended, Snapshot
from swprof_mw.reporter import encode, protocol

K = TypeVar("K")

#: So many parts of a kind are kept, at the most, and none that is longer, bytes.
_PARTS = 1_000
_LONGEST = 1_000
_FRAMES = 4_000
_STACKS = 64
_LONGEST_STACK = 10_000

#: The byte of a varint that others follow, by the seven bits that it holds.
_MORE = [bytes((bits | 128,)) for bits in range(128)]
_INT64 = range(-(1 << 63), 1 << 63)


class Known(dict[K, bytes]):
    """Encoded parts by what they say, each encoded when it is first asked for. Once it is full it begins anew.

    Args:
        encoding: encodes a part.
        limit: parts kept at the most.
        longest: bytes of a part that is kept, at the most.
    """

    def __init__(self, encoding: Callable[[K], bytes], limit: int = _PARTS, longest: int = _LONGEST) -> None:
        super().__init__()
        self._encoding = encoding
        self._limit = limit
        self._longest = longest

    def __missing__(self, key: K) -> bytes:
        part = self._encoding(key)
        if len(part) <= self._longest:
            if len(self) >= self._limit:
                self.clear()
            self[key] = part
        return part


class Times(Known[int]):
    """Encodes times: a call takes ms since the epoch, and returns its varint.

    Known is what is above the lowest fourteen bits: it is the same for sixteen seconds.
    """

    def __init__(self) -> None:
        super().__init__(_upper)

    def __call__(self, time: int) -> bytes:
        return _MORE[time & 127] + _MORE[time >> 7 & 127] + self[time >> 14]


class Segments:
    """Encodes segments: a call takes what becomes one, and returns the ``SegmentCollection`` that holds it.

    Those with a log or a reference are left to the library: little of them is known.
    """

    def __init__(self) -> None:
        self._whole = encode.whole(encode.collection)
        self._names = Known(encode.whole(_names))
        self._spans = Known(encode.whole(_span))
        self._tags = Known(self._all_tags)
        self._tag = Known(self._one_tag)
        self._time = Times()
        self._lengths = Known(varint)

    def __call__(self, ended: Ended) -> bytes:
        record = ended.segment()
        # fmt: off
        (trace_id, segment_id, service, instance, operation, start, end, peer,
         component, is_error, tags, log, reference, skip_analysis) = record
        # fmt: on
        if log or reference:
            return self._whole(record)
        lengths = self._lengths
        # Clients and times are too many to be kept; so are the ids.
        address = peer.encode("utf-8", "replace")
        span = b"".join(
            (
                b"\x18",
                self._time(start),
                b"\x20",
                self._time(end),
                b"\x3a",
                lengths[len(address)],
                address,
                self._spans[operation, component, is_error, skip_analysis],
                self._tags[tags],
            )
        )
        trace, own = trace_id.encode(), segment_id.encode()
        segment = b"".join(
            (
                b"\x0a",
                lengths[len(trace)],
                trace,
                b"\x12",
                lengths[len(own)],
                own,
                b"\x1a",
                lengths[len(span)],
                span,
                self._names[service, instance],
            )
        )
        return b"".join((b"\x0a", lengths[len(segment)], segment))

    def _all_tags(self, tags: tuple[tuple[str, str], ...]) -> bytes:
        return b"".join(map(self._tag.__getitem__, tags))

    def _one_tag(self, tag: tuple[str, str]) -> bytes:
        lengths = self._lengths
        key, value = tag[0].encode(), tag[1].encode("utf-8", "replace")
        pair = b"".join((b"\x0a", lengths[len(key)], key, b"\x12", lengths[len(value)], value))
        return b"".join((b"\x62", lengths[len(pair)], pair))


class Snapshots:
    """Encodes snapshots: a call takes one, and returns its ``ThreadSnapshot``."""

    def __init__(self) -> None:
        self._ids = Known(encode.whole(_ids))
        self._sequences = Known(encode.whole(_sequence))
        self._stacks = Known(self._whole_stack, _STACKS, _LONGEST_STACK)
        self._frames = Known(encode.whole(_frame), _FRAMES)
        self._time = Times()

    def __call__(self, record: Snapshot) -> bytes:
        task_id, segment_id, time, sequence, stack = record
        return b"".join(
            (
                self._ids[task_id, segment_id],
                b"\x18",
                self._time(time),
                self._sequences[sequence],
                self._stacks[stack],
            )
        )

    def _whole_stack(self, stack: tuple[str, ...]) -> bytes:
        frames = b"".join(map(self._frames.__getitem__, stack))
        return b"\x2a" + varint(len(frames)) + frames


def varint(number: int) -> bytes:
    """A number from 0 up: seven bits a byte, the lowest first; the eighth bit where others follow."""
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)


def _upper(bits: int) -> bytes:
    """The end of an int64's varint, from its bits above the lowest fourteen; a byte of zero if there are none."""
    if bits << 14 not in _INT64:
        raise ValueError(f"no int64: {bits} << 14")
    return varint(bits & (1 << 50) - 1)  # a negative one is written as 64 bits, in two's complement


def _names(names: tuple[str, str]) -> Any:
    service, instance = names
    return protocol.SegmentObject(service=service, serviceInstance=instance)


def _span(said: tuple[str, int, bool, bool]) -> Any:
    operation, component, is_error, skip_analysis = said
    return protocol.SpanObject(
        parentSpanId=-1,
        operationName=encode.clean(operation),
        spanLayer=encode.HTTP_LAYER,
        componentId=component,
        isError=is_error,
        skipAnalysis=skip_analysis,
    )


def _ids(ids: tuple[str, str]) -> Any:
    task_id, segment_id = ids
    return protocol.ThreadSnapshot(taskId=task_id, traceSegmentId=segment_id)


def _sequence(sequence: int) -> Any:
    return protocol.ThreadSnapshot(sequence=sequence)


def _frame(signature: str) -> Any:
    return protocol.ThreadStack(codeSignatures=[encode.clean(signature)])
