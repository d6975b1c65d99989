"""Bodies that generated WSGI apps return."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper

Chunks = list[bytes]

#: What some servers know by its identity.
ALREADY_HANDLED = object()


class ListOfOurs(list[bytes]):
    """A framework's own kind of list."""


class BytesOfOurs(bytes):
    """A framework's own kind of bytes."""


class Closing:
    """An iterator with a close."""

    def __init__(self, note: Callable[[str], None], close: Callable[[], None], chunks: Iterator[Any]) -> None:
        self._note = note
        self._close = close
        self._chunks = chunks

    def __iter__(self) -> Iterator[Any]:
        self._note("iterated")
        return self

    def __next__(self) -> Any:
        return next(self._chunks)

    def close(self) -> None:
        """What a server calls."""
        self._close()


class Clingy(Closing):
    """One that notices when it is dropped."""

    def __del__(self) -> None:
        self._note("deleted")


class Sized:
    """An iterable of a known length, with a close."""

    def __init__(self, close: Callable[[], None], chunks: Chunks) -> None:
        self._close = close
        self._parts = chunks

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)

    def close(self) -> None:
        """What a server calls."""
        self._close()


class Indexed:
    """Iterable as Python 1 had it."""

    def __init__(self, chunks: Chunks) -> None:
        self._parts = chunks

    def __getitem__(self, index: int) -> bytes:
        return self._parts[index]


class FailsToClose:
    """A body of which not even the close can be had."""

    def __init__(self, chunks: Chunks) -> None:
        self._parts = chunks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)

    @property
    def close(self) -> object:
        """Fails."""
        raise AttributeError("close")


class Mock:
    """Has whatever it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args: None

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"mock"])


class Wrapper(FileWrapper):
    """A server's own kind of file wrapper, made by a function."""


def wrap(file: BytesIO, size: int = 8192) -> Wrapper:
    """The server's file wrapper, where it is a function."""
    return Wrapper(file, size)


def is_file(body: Any, wrapper: Any) -> bool:
    """As gunicorn and waitress tell, by the type; or uWSGI and mod_wsgi, whose wrapper is a function."""
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    return wrapper is not None and (hasattr(body, "read") or hasattr(body, "filelike"))
