"""What the server gets in place of an app's body, and when the request ends with it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from swprof_mw.failures import failed
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import EntrySpan

R = TypeVar("R")


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
