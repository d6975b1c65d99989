"""What Flask itself tells about a request: the route that it found, the exception that it turned into a 500."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import got_request_exception, request, request_started

from swprof_mw.failures import failed, guarded
from swprof_mw.span import EntrySpan
from swprof_mw.wsgi import SPAN, span_of

if TYPE_CHECKING:
    from flask import Flask


def connect(app: Flask) -> None:
    """Be told of requests. Again is no harm.

    The receivers are for all apps of the process, since an instrumented one may have others mounted inside. A request
    that is not ours has no span in its environ: an app that calls another one in its own process makes a new environ.
    """
    try:
        # Not weakly, for these functions stay: each of Flask's signals would look whether they still do.
        request_started.connect(_started, weak=False)
        got_request_exception.connect(_failed, weak=False)
    except RuntimeError:  # Flask 2.2 without blinker has no signals
        app.url_value_preprocessors.setdefault(None, []).insert(0, _started)


def _started(*_: object, **__: object) -> None:
    """Before any code of the app's: name the request by its route, mounts and blueprints included."""
    try:
        # The request itself: each look at the proxy would look for it again.
        found = request._get_current_object()  # type: ignore[attr-defined]
        span = found.environ.get(SPAN)
        if span is None:
            return
        rule = found.url_rule
        if rule is not None:
            span.route(found.script_root + rule.rule if found.root_path else rule.rule)
        elif not (isinstance(span, EntrySpan) and span.endpoint):
            # An app that is called inside of another one, and knows no route, does not take that one's name away.
            span.route(None)
    except Exception:  # noqa: BLE001
        failed("naming a Flask request")


@guarded("logging a Flask exception")
def _failed(_: object, exception: BaseException, **__: object) -> None:
    span = span_of(request.environ)
    if span is not None:
        span.error(exception)
