"""Profiled requests as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timezone

from swprof_mw.cli import tree
from swprof_mw.cli.client import OapClient, Request, Span


def lines(client: OapClient, requests: Iterable[Request], *, full: bool = False) -> Iterator[str]:
    """For each request a heading and its trees; an empty line between two requests."""
    for number, request in enumerate(requests):
        if number:
            yield ""
        if (span := request.entry) is not None:
            yield heading(request, span)
            yield from _trees(client, span, full)


def heading(request: Request, span: Span) -> str:
    """When, what, how long, where: one line."""
    begun = datetime.fromtimestamp(span.start / 1000, timezone.utc).isoformat(timespec="milliseconds")
    method, status = span.tags.get("http.method", ""), span.tags.get("http.status_code", "")
    what = " ".join(part for part in (method, span.endpoint, status) if part)
    error = ", error" if span.is_error else ""
    return f"{what}  {span.end - span.start} ms{error}  {begun}  {request.instance}  trace {request.trace_id}"


def size(client: OapClient, requests: Iterable[Request]) -> tuple[int, int]:
    """How many requests there are, and how many snapshots of them: what grows while more is stored."""
    spans = [request.entry for request in requests]
    trees = [client.analyze(span.segment_id, span.start, span.end)[1] for span in spans if span]
    return len(spans), sum(each[0].count for of_request in trees for each in of_request if each)


def _trees(client: OapClient, span: Span, full: bool) -> Iterator[str]:
    tip, trees = client.analyze(span.segment_id, span.start, span.end)
    if tip:
        yield tip
    for elements in trees:
        yield from tree.render(elements, span.end - span.start, full=full)
    if not trees:
        yield "no snapshot of this request was taken"
