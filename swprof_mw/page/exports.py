"""Profiles as files to save: ``POST /export``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from swprof_mw.export.formats import FORMATS
from swprof_mw.export.profile import Profile
from swprof_mw.query import profiles
from swprof_mw.query.client import Queries
from swprof_mw.query.profiles import EVER, Part

MOST_PARTS = 100
"""Parts of requests in one file: each is a query."""

LONGEST_STEM = 60
"""Characters of a file's name that come from an endpoint's."""

KINDS: Mapping[str, tuple[str, str]] = {
    "speedscope": (".speedscope.json", "application/json"),
    "collapsed": (".collapsed.txt", "text/plain; charset=utf-8"),
    "pprof": (".pb.gz", "application/octet-stream"),
    "html": (".html", "text/html; charset=utf-8"),
}
"""The end of a file's name and its content type, by format."""

_OTHER = (".profile", "application/octet-stream")


@dataclass(frozen=True)
class Wanted:
    """What is to be exported: all of a task, or parts of requests."""

    format: str
    task: str = ""
    parts: tuple[Part, ...] = ()


def wanted(asked: Mapping[str, Any]) -> Wanted:
    """What a request's JSON asks for. Raises ``HTTPException`` if it is nothing to export."""
    kind, task, segments = asked.get("format"), asked.get("task"), asked.get("segments")
    if not isinstance(kind, str) or kind not in FORMATS:
        raise HTTPException(400, f"format must be one of {', '.join(FORMATS)}")
    if isinstance(task, str) and task and segments is None:
        return Wanted(kind, task=task)
    if task is None and isinstance(segments, list) and 0 < len(segments) <= MOST_PARTS:
        return Wanted(kind, parts=tuple(_part(one) for one in segments))
    raise HTTPException(400, f"either task must be an id, or segments a list of 1 to {MOST_PARTS}")


def _part(one: Any) -> Part:
    asked = one if isinstance(one, dict) else {}
    segment, start, end, name = asked.get("segmentId"), asked.get("start"), asked.get("end"), asked.get("name") or ""
    if not isinstance(segment, str) or not segment or not isinstance(name, str):
        raise HTTPException(400, "each of segments must have segmentId, a text, and may have a name")
    if type(start) is not int or type(end) is not int or not 0 <= start <= end <= EVER:
        raise HTTPException(400, "each of segments must have start and end, in ms since the epoch")
    return Part(segment, start, end, name)


def response(queries: Queries, wanted: Wanted) -> Response:
    """The file. Raises ``OapError``, and ``HTTPException`` with 404 if no snapshot is stored of what is wanted."""
    found = profiles.of_task(queries, wanted.task) if wanted.task else profiles.of_parts(queries, wanted.parts)
    if not found:
        raise HTTPException(404, "no snapshot of what was asked for is stored")
    suffix, content_type = KINDS.get(wanted.format, _OTHER)
    headers = {"Content-Type": content_type, "Content-Disposition": f'attachment; filename="{stem(found)}{suffix}"'}
    return Response(FORMATS[wanted.format](found), headers=headers)


def stem(found: Sequence[Profile]) -> str:
    """A file's name without its end: the endpoint, if it is known, and when; letters and digits, nothing else.

    Names are strangers': what they are made of must neither end a header nor be a path.
    """
    endpoint = dict(found[0].labels).get("endpoint", "")
    name = re.sub(r"[^A-Za-z0-9]+", "-", endpoint)[:LONGEST_STEM].strip("-")
    begun = datetime.fromtimestamp(min(one.start for one in found) / 1000, timezone.utc)
    return "-".join(part for part in ("profile", name, begun.strftime("%Y%m%dT%H%M%SZ")) if part)
