"""A WSGI app's requests as entry spans, for whichever framework it is made with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from swprof_mw.application import Application
from swprof_mw.clock import monotonic_ns
from swprof_mw.failures import failed
from swprof_mw.nested_span import NestedSpan, Span
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import FAILED, Client, EntrySpan
from swprof_mw.wsgi.body import handed_on

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


#: Where the environ holds the request's span, for a framework's hooks; None for a request that is not traced. Of one
#: without a span its `WSGIEntry`, and when it began, monotonic ns.
SPAN = "swprof_mw.span"
BEGAN = "swprof_mw.began"

# Not typeshed's: frameworks that have types of their own for the two would not be accepted.
WSGIApp = Callable[..., Iterable[bytes]]


class WSGIEntry:
    """A WSGI app whose requests are traced. What the server and the app see of each other stays as it was.

    Args:
        application: what makes the spans.
        app: the app.
    """

    #: Whether the app's framework tells of each answer: its status, and of one without a span to `answered_quietly`.
    tells_of_answers = False
    _watches_routes = False

    def __init__(self, application: Application, app: WSGIApp) -> None:
        self.application = application
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request. Raises what the app raises."""
        if self.tells_of_answers and self.application.is_quiet:
            return self._quietly(environ, start_response)
        span = self._open(environ)
        if not isinstance(span, EntrySpan):
            return self._inside(span, environ, start_response)
        # As `run` does it, without a call more.
        token = current_request.set(span)
        span.enter(sys._getframe())
        try:
            body = self.app(environ, start_response if self.tells_of_answers else listening(span, start_response))
        except BaseException as exception:
            if not issubclass(type(exception), StopIteration):  # the exception itself may not even tell its class
                span.error(exception)
            self.unanswered(span, environ)
            span.end(FAILED)
            raise
        finally:
            # Before the thread does anything else: the server's threads outlive requests.
            span.leave()
            current_request.reset(token)
        # In no variable here: a traceback that the app keeps also keeps this frame, and would keep what we return.
        return handed_on(span, environ, body)

    def watch_routes(self, wanted: bool) -> None:
        """Routes are needed before the app's code runs from now on, or not any more: for an adapter that can tell."""

    def unanswered(self, span: EntrySpan, environ: dict[str, Any]) -> None:
        """The app has raised: the last moment to name the request. Must not raise."""

    def answered_quietly(self, environ: dict[str, Any], template: str | None) -> EntrySpan | None:
        """A request without a span is of this route: the span that it gets now, if it is to be reported after all."""
        method = str.upper(environ["REQUEST_METHOD"])
        if not self.application.is_due(method, template):
            return None
        environ[SPAN] = span = self.application.begin(method, raw_path(environ), *caller(environ))
        if not isinstance(span, EntrySpan):
            return None
        span.backdate(environ[BEGAN])
        span.route(template)
        return span

    def _quietly(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request that is not going to be reported, most likely."""
        if SPAN in environ:
            return self.app(environ, start_response)  # an outer adapter has it
        try:
            environ[BEGAN] = monotonic_ns()
            environ[SPAN] = self
        except Exception:  # noqa: BLE001
            failed("writing into the WSGI environ")
            return self.app(environ, start_response)
        try:
            body = self.app(environ, start_response)
        except BaseException as exception:
            span = environ.get(SPAN)
            if isinstance(span, EntrySpan):
                span.error(exception)
                span.end(FAILED)
            raise
        span = environ.get(SPAN)
        return handed_on(span, environ, body) if isinstance(span, EntrySpan) else body

    def _inside(self, span: Span | None, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request that is not traced, or that an adapter further out has: that one's hooks come later."""
        try:
            return self.app(environ, start_response)
        finally:
            if isinstance(span, NestedSpan):
                environ[SPAN] = span.outer

    def _open(self, environ: dict[str, Any]) -> Span | None:
        """The request that begins; None if it is not traced."""
        try:
            method, path = str.upper(environ["REQUEST_METHOD"]), raw_path(environ)
            # Whatever happens, an environ that the app copied from another request's does not lead to that one's span;
            # and one that cannot be written to shows that before there is a span.
            environ[SPAN] = None
            environ[SPAN] = span = self.application.begin(method, path, *caller(environ))
            if span is not None and span.wants_route != self._watches_routes:
                self._watches_routes = not self._watches_routes
                self.watch_routes(self._watches_routes)
            return span
        except Exception:  # noqa: BLE001
            failed("reading the WSGI environ")
            return None


def raw_path(environ: Mapping[str, Any]) -> str:
    """The full path that was asked for, the app's own mount included. WSGI has its bytes as latin-1.

    Raises:
        TypeError: it is not text.
        UnicodeEncodeError: it is no bytes in latin-1.
    """
    path: object = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")) or "/"
    if not isinstance(path, str):
        raise TypeError(f"SCRIPT_NAME and PATH_INFO must be text, but are {type(path).__name__}")
    return path if path.isascii() else path.encode("latin-1").decode("utf-8", "replace")


def caller(environ: Mapping[str, Any]) -> tuple[Client, str]:
    """Who asks: the client's host and port, as far as the server says, and the value of the ``sw8`` header."""
    sw8 = environ.get("HTTP_SW8", "")
    return (environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT")), sw8 if isinstance(sw8, str) else ""


def listening(span: EntrySpan, start_response: Callable[..., Any]) -> Callable[..., Any]:
    """The server's ``start_response``, its ``write`` included; we only read the status that it accepted."""

    def listen(*args: Any, **kwargs: Any) -> Any:
        status: Any = args[0] if args else kwargs.get("status")
        try:
            write = start_response(*args, **kwargs)
        finally:
            # A server raises what it is told in exc_info: the traceback holds this frame, which must not hold it.
            del args, kwargs
        try:
            span.status = int(status[:3])
        except (ValueError, TypeError):
            pass  # a server may be content with more than PEP 3333 allows; then so are we
        except Exception:  # noqa: BLE001
            failed("reading a WSGI status")
        return write

    return listen
