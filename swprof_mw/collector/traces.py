"""Which of the kept segments a ``TraceQueryCondition`` means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swprof_mw.collector import ids, period
from swprof_mw.collector.search import Search
from swprof_mw.collector.segments import SEARCHABLE


def search(condition: Mapping[str, Any]) -> Search | None:
    """The search that a condition asks for; ``None`` if nothing can meet it.

    ``condition`` has the keys of GraphQL's input; an empty id or a duration of 0 asks for nothing, as in OAP. Raises
    ``ValueError`` if it gives neither a trace nor a time.
    """
    wanted = {name: value for name, value in condition.items() if value not in (None, "", 0)}
    if "traceId" not in wanted and "queryDuration" not in wanted:
        raise ValueError("The condition must contains either queryDuration or traceId.")
    when = period.parse(wanted["queryDuration"]) if "queryDuration" in wanted else None
    first, count = _page(wanted["paging"])
    places, tags = _places(wanted), _tags(wanted)
    if places is None or tags is None:
        return None
    return Search(
        trace_id=wanted.get("traceId"),
        **places,
        since=when.start if when else None,
        until=when.end if when else None,
        shortest=wanted.get("minTraceDuration"),
        longest=wanted.get("maxTraceDuration"),
        is_error={"ALL": None, "ERROR": True, "SUCCESS": False}[wanted["traceState"]],
        tags=tags,
        by_duration=wanted["queryOrder"] == "BY_DURATION",
        first=first,
        count=count,
    )


def _places(wanted: Mapping[str, Any]) -> dict[str, str] | None:
    """The names in the ids of a service, an instance and an endpoint; ``None`` if there can be no such segment."""
    found: list[tuple[str, str]] = []
    try:
        if "serviceId" in wanted:
            found.append(("service", ids.exact_service_name(wanted["serviceId"])))
        for key, column in (("serviceInstanceId", "instance"), ("endpointId", "endpoint")):
            if key in wanted:
                service, _, name = wanted[key].rpartition("_")
                found += [("service", ids.exact_service_name(service)), (column, _plain(name))]
    except ValueError:
        return None
    return dict(found) if len(set(found)) == len(dict(found)) else None


def _plain(encoded: str) -> str:
    name = ids.decode(encoded)
    if ids.encode(name) != encoded:
        raise ValueError(f"not the base64 of a name: {encoded!r}")
    return name


def _tags(wanted: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    tags = [(tag["key"], tag.get("value")) for tag in wanted.get("tags", ())]
    return tags if all(key in SEARCHABLE and value is not None for key, value in tags) else None


def _page(paging: Mapping[str, int]) -> tuple[int, int]:
    size, number = paging["pageSize"], paging.get("pageNum") or 1
    if size < 0:
        raise ValueError(f"pageSize must not be negative: {size}")
    if number < 0:
        raise ValueError(f"pageNum must not be negative: {number}")
    return (number - 1) * size, size
