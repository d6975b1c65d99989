"""A WSGI app's requests as entry spans, whatever framework it is made with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from swprof_mw.application import Application
from swprof_mw.clock import monotonic_ns
from swprof_mw.components import component_of, innermost
from swprof_mw.failures import failed
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import FAILED, Client, EntrySpan, NestedSpan, Span

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from typing_extensions import Unpack

    from swprof_mw.settings import Settings

#: Where the environ holds the request's span, for a framework's hooks; None for a request that is not traced. Of one
#: without a span its `WSGIEntry`, and when it began, monotonic ns.
SPAN = "swprof_mw.span"
BEGAN = "swprof_mw.began"

R = TypeVar("R")
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
        if SPAN in environ or not _put(environ, self):
            return self.app(environ, start_response)  # an outer adapter has it, or it can be told nothing
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


class SWProfilerMiddleware(WSGIEntry):
    """Traces and profiles the requests of any WSGI app, and changes nothing of what passes.

    ``app = SWProfilerMiddleware(app, service_name="shop")``. With ``enabled=False``, or switched off in the
    environment, that gives back ``app`` itself. A request is named by its path, numbers, UUIDs and hex as ``{id}``,
    unless `swprof_mw.set_endpoint` says better. For Flask there is `swprof_mw.flask`, which knows the routes.

    Args:
        app: any WSGI app.
        settings: see the settings' page; what is not given comes from the environment. ``service_name`` has no default.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """

    def __new__(cls, app: WSGIApp, **settings: Unpack[Settings]) -> Any:
        """The middleware, or the app if we are off."""
        self = super().__new__(cls)
        WSGIEntry.__init__(self, Application(component_of(innermost(app)), settings), app)
        return self if self.application.enabled else app

    def __init__(self, app: WSGIApp, **settings: Unpack[Settings]) -> None:
        """All is done already: what is given back where we are off may be another middleware of ours."""

    def _open(self, environ: dict[str, Any]) -> Span | None:
        span = super()._open(environ)
        if isinstance(span, EntrySpan):
            span.route_by_path()  # now, for a task that asks for it; who knows better has not spoken yet
        return span


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


def _put(environ: dict[str, Any], entry: WSGIEntry) -> bool:
    """Let the framework's hook find the entry of a request without a span."""
    try:
        environ[BEGAN] = monotonic_ns()
        environ[SPAN] = entry
        return True
    except Exception:  # noqa: BLE001
        failed("writing into the WSGI environ")
        return False


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


def run(span: EntrySpan, function: Callable[..., R], *args: Any) -> R:
    """Run some of the app's code as the request's. What it raises is noted in the span and passes on."""
    token = current_request.set(span)
    span.enter(sys._getframe())
    try:
        return function(*args)
    except StopIteration:
        raise
    except BaseException as exception:
        span.error(exception)
        raise
    finally:
        # Before the thread does anything else: the server's threads outlive requests.
        span.leave()
        current_request.reset(token)


def handed_on(span: EntrySpan, environ: Mapping[str, Any], body: Iterable[bytes]) -> Iterable[bytes]:
    """What the server gets in place of the app's body: the request ends with it, or now.

    Now where no code of the app is left to run: with a list, tuple or bytes, which the server only reads. And with what
    the server knows by its type or identity, which any wrapper of ours would lose: a file in its own wrapper, which it
    sends by ``sendfile``; an object that cannot be iterated over, and says for example that it was answered already.
    """
    try:
        if not span.is_whole and span.is_wanted:
            follow = _kind(type(body))
            if follow is not None and not _is_file(environ, body):
                return follow(span, body)
    except Exception:  # noqa: BLE001
        failed("wrapping a WSGI body")
    span.end()
    return body


@lru_cache(maxsize=64)
def _kind(kind: type) -> type[Body] | None:
    """What follows a body of that type; None if it holds all of its chunks already, or cannot be iterated over."""
    plain = issubclass(kind, _PLAIN) and not hasattr(kind, "close")
    if plain or not (hasattr(kind, "__iter__") or hasattr(kind, "__getitem__")):
        return None
    return SizedBody if hasattr(kind, "__len__") else Body


_PLAIN = (list, tuple, bytes, str, bytearray)


def _is_file(environ: Mapping[str, Any], body: object) -> bool:
    """Whether the app made ``body`` with the server's ``wsgi.file_wrapper``."""
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is None or isinstance(wrapper, type):
        return wrapper is not None and isinstance(body, wrapper)
    # A function's result cannot be told by its type: uWSGI's is the file itself, mod_wsgi's is like PEP 3333's example.
    return hasattr(body, "read") or hasattr(body, "filelike")


class Body:
    """What the server reads in place of the app's body: the same chunks, each made as part of the request.

    The request ends when the server closes the body; if it never does, when the server drops it.

    Args:
        span: the request.
        body: the app's.
    """

    __slots__ = ("_body", "_iterator", "_span")

    def __init__(self, span: EntrySpan, body: Iterable[bytes]) -> None:
        self._span = span
        self._body = body
        self._iterator: Any = body

    def __iter__(self) -> Iterator[bytes]:
        body = self._body
        # An iterator only gives itself; anything else may begin to work here.
        self._iterator = iter(body) if hasattr(type(body), "__next__") else run(self._span, iter, body)
        return self

    def __next__(self) -> bytes:
        # As `run` does it, without a call more.
        span = self._span
        token = current_request.set(span)
        span.enter(sys._getframe())
        try:
            chunk: bytes = next(self._iterator)
            return chunk
        except StopIteration:
            raise
        except BaseException as exception:
            span.error(exception)
            raise
        finally:
            span.leave()
            current_request.reset(token)

    def close(self) -> None:
        """The server is done: close the app's body, if that can be closed, and end the request."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                run(self._span, close)
        finally:
            self._span.end()

    def __del__(self) -> None:
        if not self._span.ended:
            self._span.end()


class SizedBody(Body):
    """A body whose length tells the server something: that of a single chunk is the response's Content-Length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]
