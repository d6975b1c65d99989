"""What Flask itself tells about a request: the route that it found, its answer, the exception that became a 500."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from flask import Request, got_request_exception, has_request_context, request, request_started
from werkzeug.wrappers import Response as WerkzeugResponse

from swprof_mw.failures import failed, guarded
from swprof_mw.native import allocate_lock
from swprof_mw.nested_span import Span
from swprof_mw.span import EntrySpan
from swprof_mw.wsgi.entry import SPAN, WSGIEntry

if TYPE_CHECKING:
    from flask import Flask

#: What makes the body of a response, and closes it: where a class has its own, code of the app's may run there.
_BODY = ("__call__", "get_app_iter", "iter_encoded", "close")


def connect(app: Flask) -> None:
    """Be told of the answers and failures of an app's requests. Again is no harm."""
    functions = app.after_request_funcs.setdefault(None, [])
    if _answered not in functions:
        functions.insert(0, _answered)  # what is first is called last
    try:
        # Not weakly, for this function stays: each of Flask's signals would look whether it still does.
        got_request_exception.connect(_failed, weak=False)
    except RuntimeError:  # Flask 2.2 without blinker has no signals
        app.url_value_preprocessors.setdefault(None, []).insert(0, _started)


class Starts:
    """Those who want to know the route before any code of the app's runs. Nobody, mostly: it costs all requests.

    The signal is for all apps of the process, since an instrumented one may have others mounted inside. A request that
    is not ours has no span in its environ: an app that calls another one in its own process makes a new environ.
    """

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._who: WeakSet[object] = WeakSet()

    def want(self, who: object) -> None:
        """Tell of routes from now on, for ``who``, until it is said to ``leave``."""
        with self._lock:
            self._who.add(who)
            try:
                request_started.connect(_started, weak=False)
            except RuntimeError:
                return  # no signals: what there is instead is there always

    def leave(self, who: object) -> None:
        """``who`` wants it no more."""
        with self._lock:
            self._who.discard(who)
            if not self._who:
                request_started.disconnect(_started)


starts = Starts()


def _started(*_: object, **__: object) -> None:
    """Before any code of the app's: name the request by its route, mounts and blueprints included."""
    try:
        # The request itself: each look at the proxy would look for it again.
        found = request._get_current_object()  # type: ignore[attr-defined]
        span = found.environ.get(SPAN)
        if span is not None and not isinstance(span, WSGIEntry):
            _name(span, found)
    except Exception:  # noqa: BLE001
        failed("naming a Flask request")


def _answered(response: Any) -> Any:
    """After all code of the app's but that of its response (Flask's): callbacks, or what makes its body only now."""
    try:
        found = request._get_current_object()  # type: ignore[attr-defined]
        span = _named(found)
        if isinstance(span, EntrySpan):
            span.status = response.status_code
            span.is_whole = response.is_sequence and not response._on_close and _is_plain(response.__class__)
    except Exception:  # noqa: BLE001
        failed("reading a Flask response")
    return response


def _named(found: Request) -> Span | None:
    """The span of a request, with its name by now; None if it has none, and is not due to get one."""
    span: Span | WSGIEntry | None = found.environ.get(SPAN)
    if span is None:
        return None
    if isinstance(span, WSGIEntry):
        return span.answered_quietly(found.environ, _template(found))
    _name(span, found)
    return span


def _name(span: Span, found: Request) -> None:
    template = _template(found)
    if isinstance(span, EntrySpan) and span.endpoint and (span.is_routed or template is None):
        return  # told before; an app that is called inside of this one knows better only if it is instrumented too
    span.route(template)


def _template(found: Request) -> str | None:
    """The route, with the mount that the app is at; None if none was found."""
    rule = found.url_rule
    if rule is None:
        return None
    return found.script_root + rule.rule if found.root_path else rule.rule


def route_now(span: EntrySpan) -> str | None:
    """The route of the current request, if that is the span's and Flask has found one."""
    is_its_own = has_request_context() and request.environ.get(SPAN) is span
    return _template(request) if is_its_own else None


@lru_cache(maxsize=64)
def _is_plain(kind: type) -> bool:
    """Whether all that is done for the body of such a response, by its class, is Flask's own."""
    return all(getattr(kind, name, None) is getattr(WerkzeugResponse, name) for name in _BODY)


@guarded("logging a Flask exception")
def _failed(_: object, exception: BaseException, **__: object) -> None:
    found = request._get_current_object()  # type: ignore[attr-defined]
    span = _named(found)
    if span is not None:
        span.error(exception)


def route_of(app: Flask, environ: dict[str, object]) -> str | None:
    """The route of a request that Flask has told nothing of: an exception went through it that it does not handle.

    None if there is none. Raises what the app's own converters do.
    """
    adapter = app.create_url_adapter(app.request_class(environ, populate_request=False))
    if adapter is None:
        return None
    rule, _ = adapter.match(return_rule=True)
    return str(environ.get("SCRIPT_NAME") or "") + rule.rule
