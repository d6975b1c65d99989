"""Which of the kept segments a ``TraceQueryCondition`` means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from swprof_mw.collector import ids, period
from swprof_mw.collector.records import Segment

SEARCHABLE = frozenset({"http.method", "http.status_code", "status_code"})
"""Tags that can be searched for; OAP indexes few, and ``http.url`` is none of them."""


def find(segments: Iterable[Segment], condition: Mapping[str, Any]) -> list[Segment]:
    """The page of ``segments`` that meets the condition, in the order it asks for.

    ``condition`` has the keys of GraphQL's input. Raises ``ValueError`` if it gives neither a trace nor a time.
    """
    if condition.get("traceId") is None and condition.get("queryDuration") is None:
        raise ValueError("The condition must contains either queryDuration or traceId.")
    found = [segment for segment in segments if _meets(segment, condition)]
    by_duration = condition["queryOrder"] == "BY_DURATION"
    found.sort(key=lambda one: one.duration if by_duration else one.start, reverse=True)
    return _page(found, condition["paging"])


def _meets(segment: Segment, condition: Mapping[str, Any]) -> bool:
    wanted = {name: value for name, value in condition.items() if value is not None}
    return (
        wanted.get("traceId", segment.trace_id) == segment.trace_id
        and _meets_place(segment, wanted)
        and ("queryDuration" not in wanted or period.parse(wanted["queryDuration"]).holds(segment.start))
        and wanted.get("minTraceDuration", segment.duration) <= segment.duration
        and wanted.get("maxTraceDuration", segment.duration) >= segment.duration
        and wanted["traceState"] in ("ALL", "ERROR" if segment.is_error else "SUCCESS")
        and all(_has(segment, tag) for tag in wanted.get("tags", ()))
    )


def _meets_place(segment: Segment, wanted: Mapping[str, Any]) -> bool:
    places = {
        "serviceId": ids.service_id(segment.service),
        "serviceInstanceId": ids.instance_id(segment.service, segment.instance),
        "endpointId": ids.endpoint_id(segment.service, segment.endpoint_name),
    }
    return all(wanted.get(name, place) == place for name, place in places.items())


def _has(segment: Segment, tag: Mapping[str, str]) -> bool:
    pair = (tag["key"], tag.get("value"))
    return tag["key"] in SEARCHABLE and any(pair in span.tags for span in segment.spans)


def _page(found: list[Segment], paging: Mapping[str, int]) -> list[Segment]:
    size = paging["pageSize"]
    if size < 0:
        raise ValueError(f"pageSize must not be negative: {size}")
    first = (max(paging.get("pageNum") or 1, 1) - 1) * size
    return found[first : first + size]
