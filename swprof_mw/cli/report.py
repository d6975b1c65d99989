"""Profiled requests as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from swprof_mw.cli import tree
from swprof_mw.cli.paint import BOLD, PLAIN, RED, Paint
from swprof_mw.export.visible import visible
from swprof_mw.query.client import OapClient, Request, Span
from swprof_mw.query.profiles import heading


def lines(client: OapClient, requests: Iterable[Request], *, full: bool = False, paint: Paint = PLAIN) -> Iterator[str]:
    """For each request a heading and its trees; an empty line between two requests."""
    for number, request in enumerate(requests):
        if number:
            yield ""
        if (span := request.entry) is not None:
            yield paint(heading(request, span), BOLD, *([RED] if span.is_error else []))
            yield from _trees(client, span, full, paint)


def size(client: OapClient, requests: Iterable[Request]) -> tuple[int, int]:
    """How many requests there are, and how many snapshots of them: what grows while more is stored."""
    spans = [request.entry for request in requests]
    trees = [client.analyze(span.segment_id, span.start, span.end)[1] for span in spans if span]
    return len(spans), sum(each[0].count for of_request in trees for each in of_request if each)


def _trees(client: OapClient, span: Span, full: bool, paint: Paint) -> Iterator[str]:
    tip, trees = client.analyze(span.segment_id, span.start, span.end)
    if tip:
        yield visible(tip)
    for elements in trees:
        yield from tree.render(elements, span.end - span.start, full=full, paint=paint)
    if not trees:
        yield "no snapshot of this request was taken"
