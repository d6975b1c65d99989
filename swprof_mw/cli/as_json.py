"""Profiled requests as JSON, for programs. docs/terminal.md says what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from swprof_mw.export.frame import kind
from swprof_mw.query.client import Element, OapClient, Request, Span

FORMAT = 1
"""Changes where a program that reads it would have to."""

View = dict[str, Any]


def document(client: OapClient, task: Mapping[str, Any], requests: Iterable[Request]) -> View:
    """A task and the requests that it has profiled. All times are ms, ``start`` is since the epoch."""
    shown = [_request(client, request, span) for request in requests if (span := request.entry) is not None]
    return {"format": FORMAT, "task": dict(task), "requests": shown}


def _request(client: OapClient, request: Request, span: Span) -> View:
    tip, trees = client.analyze(span.segment_id, span.start, span.end)
    frames = list(_frames(trees))
    duration = span.end - span.start
    return {
        "trace": request.trace_id,
        "segment": span.segment_id,
        "instance": request.instance,
        "endpoint": span.endpoint,
        "method": span.tags.get("http.method", ""),
        "status": span.tags.get("http.status_code", ""),
        "error": span.is_error,
        "start": span.start,
        "duration": duration,
        "times": _times(frames, duration),
        "tip": tip,
        "frames": frames,
    }


def _frames(trees: Iterable[Iterable[Element]]) -> Iterator[View]:
    """The elements of all trees, with numbers of their own."""
    before = 0
    for elements in trees:
        numbers = {element.id: before + number for number, element in enumerate(elements, start=1)}
        before += len(numbers)
        for element in elements:
            yield {
                "id": numbers[element.id],
                "parent": numbers.get(element.parent_id),
                "text": element.code_signature,
                "kind": kind(element.code_signature),
                "duration": element.duration,
                "own": element.own,
                "snapshots": element.count,
            }


def _times(frames: Iterable[View], duration: int) -> dict[str, int]:
    """What the request did for how long; a time below 0, as a clock that was set makes one, is none."""
    times = {"working": 0, "waiting": 0, "queued": 0}
    for frame in frames:
        times[frame["kind"]] += max(frame["own"], 0)
    return {**times, "unsampled": max(duration - sum(times.values()), 0)}
