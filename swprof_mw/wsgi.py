"""A WSGI app's requests as entry spans, whatever framework it is made with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from swprof_mw.failures import guarded
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import FAILED, EntrySpan, Span

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

    from swprof_mw.application import Application

#: Where the environ holds the request's span, for a framework's hooks; None for a request that is not traced.
SPAN = "swprof_mw.span"

R = TypeVar("R")


class WSGIEntry:
    """A WSGI app whose requests are traced. What the server and the app see of each other stays as it was.

    Args:
        application: what makes the spans.
        app: the app.
    """

    def __init__(self, application: Application, app: WSGIApplication) -> None:
        self.application = application
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request. Raises what the app raises."""
        span = self._open(environ)
        if span is None:
            return self.app(environ, start_response)
        exchange = Exchange(span)
        try:
            body = exchange.run(self.app, environ, exchange.listening(start_response))
        except BaseException:
            span.end(FAILED)
            raise
        # In no variable here: a traceback that the app keeps also keeps this frame, and would keep what we return.
        return exchange.handed_on(environ, body)

    @guarded("reading the WSGI environ")
    def _open(self, environ: dict[str, Any]) -> EntrySpan | None:
        """The request that begins; None where there is nothing to do: not traced, or an outer adapter has it."""
        method, path = str.upper(environ["REQUEST_METHOD"]), raw_path(environ)
        # Whatever happens, an environ that the app copied from another request's does not lead to that one's span.
        environ[SPAN] = None
        environ[SPAN] = span = self.application.begin(method, path, *caller(environ))
        return span if isinstance(span, EntrySpan) else None


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


class Exchange:
    """One request and its answer, while they pass through a thread of the server's.

    Args:
        span: the request.

    Attributes:
        span: the request.
        status: the answer's HTTP status, as far as it is known.
    """

    __slots__ = ("span", "status")

    def __init__(self, span: EntrySpan) -> None:
        self.span = span
        self.status = FAILED

    def listening(self, start_response: Callable[..., Any]) -> Callable[..., Any]:
        """The server's ``start_response``, its ``write`` included; we only read the status that it accepted."""

        def listen(*args: Any, **kwargs: Any) -> Any:
            status = args[0] if args else kwargs.get("status")
            try:
                write = start_response(*args, **kwargs)
            finally:
                # A server raises what it is told in exc_info: the traceback holds this frame, which must not hold it.
                del args, kwargs
            self._note(status)
            return write

        return listen

    def run(self, function: Callable[..., R], *args: Any) -> R:
        """Run some of the app's code as the request's. What it raises is noted in the span and passes on."""
        span = self.span
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
            span.deactivate(token)

    @guarded("reading a WSGI status")
    def _note(self, status: Any) -> None:
        try:
            self.status = int(status[:3])
        except (ValueError, TypeError):
            return  # a server may be content with more than PEP 3333 allows; then so are we

    def end(self) -> None:
        """The request is over."""
        self.span.end(self.status)

    def handed_on(self, environ: Mapping[str, Any], body: Iterable[bytes]) -> Iterable[bytes]:
        """What the server gets in place of the app's body: the request ends with it, or now."""
        wrapped = self._wrap(environ, body) if self.span.is_wanted else None
        if wrapped is None:
            self.end()
            return body
        return wrapped

    @guarded("wrapping a WSGI body")
    def _wrap(self, environ: Mapping[str, Any], body: Iterable[bytes]) -> Body | None:
        """The body as one that tells its end; None where no code of the app is left to run.

        That is so for a list, tuple or bytes, which the server only reads. And for what the server knows by its type
        or identity, which any wrapper of ours would lose: a file in its own wrapper, which it sends by ``sendfile``; an
        object that cannot be iterated over, and says for example that the app has answered already.
        """
        if _is_plain(body) or _is_file(environ, body):
            return None
        kind = type(body)
        if not (hasattr(kind, "__iter__") or hasattr(kind, "__getitem__")):
            return None
        return (SizedBody if hasattr(kind, "__len__") else Body)(self, body)


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
        exchange: the request.
        body: the app's.
    """

    __slots__ = ("_body", "_exchange", "_iterator", "_span")

    def __init__(self, exchange: Exchange, body: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._span = exchange.span
        self._body = body
        self._iterator: Any = body

    def __iter__(self) -> Iterator[bytes]:
        body = self._body
        # An iterator only gives itself; anything else may begin to work here.
        self._iterator = iter(body) if hasattr(type(body), "__next__") else self._exchange.run(iter, body)
        return self

    def __next__(self) -> bytes:
        # As `Exchange.run` does it, which would take twice as long: each request comes here twice at the least.
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
            span.deactivate(token)

    def close(self) -> None:
        """The server is done: close the app's body, if that can be closed, and end the request."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                self._exchange.run(close)
        finally:
            self._exchange.end()

    def __del__(self) -> None:
        if not self._span.ended:
            self._exchange.end()


class SizedBody(Body):
    """A body whose length tells the server something: that of a single chunk is the response's Content-Length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]
