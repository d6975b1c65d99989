"""A WSGI app's requests as entry spans, whatever framework it is made with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from swprof_mw.application import Application
from swprof_mw.components import component_of, innermost
from swprof_mw.failures import failed
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import FAILED, EntrySpan, Span

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from typing_extensions import Unpack

    from swprof_mw.settings import Settings

#: Where the environ holds the request's span, for a framework's hooks; None for a request that is not traced.
SPAN = "swprof_mw.span"

R = TypeVar("R")
# Not typeshed's: frameworks that have types of their own for the two would not be accepted.
WSGIApp = Callable[..., Iterable[bytes]]


class WSGIEntry:
    """A WSGI app whose requests are traced. What the server and the app see of each other stays as it was.

    Args:
        application: what makes the spans.
        app: the app.
    """

    def __init__(self, application: Application, app: WSGIApp) -> None:
        self.application = application
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request. Raises what the app raises."""
        span = self._open(environ)
        if span is None:
            return self.app(environ, start_response)
        try:
            body = run(span, self.app, environ, listening(span, start_response))
        except BaseException:
            span.end(FAILED)
            raise
        # In no variable here: a traceback that the app keeps also keeps this frame, and would keep what we return.
        return handed_on(span, environ, body)

    def _open(self, environ: dict[str, Any]) -> EntrySpan | None:
        """The request that begins; None where there is nothing to do: not traced, or an outer adapter has it."""
        try:
            method, path = str.upper(environ["REQUEST_METHOD"]), raw_path(environ)
            # Whatever happens, an environ that the app copied from another request's does not lead to that one's span.
            environ[SPAN] = None
            environ[SPAN] = span = self.application.begin(method, path, *caller(environ))
            return span if isinstance(span, EntrySpan) else None
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

    def _open(self, environ: dict[str, Any]) -> EntrySpan | None:
        span = super()._open(environ)
        if span is not None:
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


def caller(environ: Mapping[str, Any]) -> tuple[str, str]:
    """Who asks: the client's ``HOST:PORT``, as far as it is known, and the value of the ``sw8`` header."""
    host, port, sw8 = environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT"), environ.get("HTTP_SW8")
    peer = f"{host}:{port}" if host and port else str(host or "")
    return peer, sw8 if isinstance(sw8, str) else ""


def span_of(environ: Mapping[str, Any]) -> Span | None:
    """The span of the request that this environ is of; None if it is not traced."""
    span: Span | None = environ.get(SPAN)
    return span


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
    """What the server gets in place of the app's body: the request ends with it, or now."""
    wrapped = _wrap(span, environ, body) if span.is_wanted else None
    if wrapped is None:
        span.end()
        return body
    return wrapped


def _wrap(span: EntrySpan, environ: Mapping[str, Any], body: Iterable[bytes]) -> Body | None:
    """The body as one that tells its end; None where no code of the app is left to run.

    That is so for a list, tuple or bytes, which the server only reads. And for what the server knows by its type
    or identity, which any wrapper of ours would lose: a file in its own wrapper, which it sends by ``sendfile``; an
    object that cannot be iterated over, and says for example that the app has answered already.
    """
    try:
        if _is_plain(body) or _is_file(environ, body):
            return None
        kind = type(body)
        if not (hasattr(kind, "__iter__") or hasattr(kind, "__getitem__")):
            return None
        return (SizedBody if hasattr(kind, "__len__") else Body)(span, body)
    except Exception:  # noqa: BLE001
        failed("wrapping a WSGI body")
        return None


_PLAIN = (list, tuple, bytes, str, bytearray)


def _is_plain(body: object) -> bool:
    """Whether ``body`` holds all of its chunks, and has nothing to close."""
    return isinstance(body, _PLAIN) and not hasattr(body, "close")


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
        chunk: bytes = run(self._span, next, self._iterator)
        return chunk

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
