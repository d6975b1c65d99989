"""Profiled requests as an OAP tells of them, as the profiles that are exported."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from swprof_mw.export.profile import Profile, stacks
from swprof_mw.export.visible import visible
from swprof_mw.query.client import Queries, Request, Span

EVER = 9_999_999_999_999
"""ms since the epoch, in the year 2286: of a segment named by its id alone, all snapshots are asked for."""


@dataclass(frozen=True)
class Part:
    """What was chosen of a profiled request: a segment from ``start`` to ``end``, ms since the epoch, and its name."""

    segment_id: str
    start: int
    end: int
    name: str = ""


def heading(request: Request, span: Span) -> str:
    """When, what, how long, where: one line."""
    begun = datetime.fromtimestamp(span.start / 1000, timezone.utc).isoformat(timespec="milliseconds")
    method, status = span.tags.get("http.method", ""), span.tags.get("http.status_code", "")
    what = " ".join(part for part in (method, span.endpoint, status) if part)
    error = ", error" if span.is_error else ""
    return visible(f"{what}  {span.end - span.start} ms{error}  {begun}  {request.instance}  trace {request.trace_id}")


def of_task(client: Queries, task_id: str, segment_ids: Collection[str] = ()) -> list[Profile]:
    """Of the requests that the task has profiled, all or those with these segments; without a snapshot: left out."""
    found = [(request, request.entry) for request in client.segments(task_id)]
    return _sampled(
        _of_request(client, request, span)
        for request, span in found
        if span is not None and (not segment_ids or span.segment_id in segment_ids)
    )


def of_parts(client: Queries, parts: Iterable[Part]) -> list[Profile]:
    """Of parts of requests; those without a snapshot are left out."""
    return _sampled(_of_part(client, part) for part in parts)


def of_segments(client: Queries, segment_ids: Iterable[str]) -> list[Profile]:
    """Of requests by their segments' ids alone: OAP does not say of them when they were and how long they took."""
    ever = (_of_part(client, Part(each, 0, EVER)) for each in segment_ids)
    return _sampled(replace(profile, duration=0) for profile in ever)


def _of_part(client: Queries, part: Part) -> Profile:
    _, trees = client.analyze(part.segment_id, part.start, part.end)
    name = visible(part.name) or f"segment {visible(part.segment_id)}"
    return Profile(name, part.start, part.end - part.start, stacks(trees), (("segment", part.segment_id),))


def _of_request(client: Queries, request: Request, span: Span) -> Profile:
    _, trees = client.analyze(span.segment_id, span.start, span.end)
    labels = {"endpoint": span.endpoint, "instance": request.instance, "trace": request.trace_id}
    return Profile(
        name=heading(request, span),
        start=span.start,
        duration=span.end - span.start,
        stacks=stacks(trees),
        labels=(*labels.items(), ("segment", span.segment_id)),
    )


def _sampled(profiles: Iterable[Profile]) -> list[Profile]:
    return [profile for profile in profiles if profile.stacks]
