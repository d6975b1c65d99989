"""WSGI apps without a framework that answer in every way that PEP 3333 has, and in some that it has not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any

from tests.sites.common import Failure, chunks, events, file, spend

App = Callable[[dict[str, Any], Any], Any]
Headers = list[tuple[str, str]]

PLAIN: Headers = [("Content-Type", "text/plain")]


def _answers(make: Callable[[dict[str, Any]], Any], headers: Headers = PLAIN, status: str = "200 OK") -> App:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response(status, list(headers))
        return make(environ)

    return app


class Body:
    """Chunks with a close; both may fail."""

    def __init__(self, parts: Iterable[bytes], close: Exception | None = None) -> None:
        self._parts = iter(parts)
        self._failure = close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)

    def close(self) -> None:
        """What a server calls."""
        events.append("closed")
        if self._failure is not None:
            raise self._failure


class Sized(Body):
    """One of a known length."""

    def __init__(self, parts: list[bytes]) -> None:
        super().__init__(parts)
        self._length = len(parts)

    def __len__(self) -> int:
        return self._length


class OwnBytes(bytes):
    """A framework's own kind of bytes."""


def _generator(count: int, fails: bool = False) -> Iterator[bytes]:
    try:
        yield from chunks(count, fails)
    finally:
        events.append("finally")


def _endless() -> Iterator[bytes]:
    try:
        while True:
            yield b"x" * 65_536
    finally:
        events.append("finally")


def _late_start(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("201 Created", list(PLAIN))
    yield b"late"


def _write(environ: dict[str, Any], start_response: Any) -> Any:
    write = start_response("200 OK", list(PLAIN))
    write(b"written ")
    write(b"")
    write(b"twice ")
    return [b"and returned"]


def _replace(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Content-Length", "999")])
    try:
        raise Failure("before anything was sent")
    except Failure:
        start_response("503 Sorry", [*PLAIN, ("Content-Length", "5")], sys.exc_info())
    return [b"sorry"]


def _too_late(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", list(PLAIN))
    yield b"first"
    try:
        raise Failure("after something was sent")
    except Failure:
        start_response("503 Sorry", list(PLAIN), sys.exc_info())
    yield b"never"


def _twice(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    start_response("201 Created", list(PLAIN))
    return [b"twice"]


def _silent(environ: dict[str, Any], start_response: Any) -> Any:
    return [b"nobody started this"]


def _fail(environ: dict[str, Any], start_response: Any) -> Any:
    raise Failure("at once")


def _echo(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    told = [environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"], environ.get("HTTP_X_ANY", "")]
    return [
        repr(told).encode("latin-1", "backslashreplace"),
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)),
    ]


def _wrapped(source: Callable[[], Any], *size: int) -> Callable[[dict[str, Any]], Any]:
    def make(environ: dict[str, Any]) -> Any:
        wrapper = environ.get("wsgi.file_wrapper")
        return wrapper(source(), *size) if wrapper is not None else [source().read()]

    return make


def _open() -> Any:
    return file().open("rb")


def _from_middle() -> Any:
    opened = _open()
    opened.seek(69_000)
    return opened


def _slow(environ: dict[str, Any], start_response: Any) -> Any:
    spend(0.05)
    start_response("200 OK", list(PLAIN))
    return [b"slow"]


LENGTH = [*PLAIN, ("Content-Length", "70000")]
APPS: dict[str, App] = {
    "list": _answers(lambda _: [b"one", b"two"]),
    "single": _answers(lambda _: [b"its length is known"]),
    "tuple": _answers(lambda _: (b"one",)),
    "bytes": _answers(lambda _: b"abc"),
    "own bytes": _answers(lambda _: OwnBytes(b"abc")),
    "empty": _answers(lambda _: []),
    "blank chunks": _answers(lambda _: [b"", b"", b"x", b""]),
    "text": _answers(lambda _: "text"),
    "none": _answers(lambda _: None),
    "number": _answers(lambda _: 7),
    "object": _answers(lambda _: object()),
    "generator": _answers(lambda _: _generator(3)),
    "breaks": _answers(lambda _: _generator(2, fails=True)),
    "breaks at once": _answers(lambda _: _generator(0, fails=True)),
    "closes": _answers(lambda _: Body(chunks(2))),
    "sized": _answers(lambda _: Sized([b"one", b"two"])),
    "sized alone": _answers(lambda _: Sized([b"one"])),
    "fails to close": _answers(lambda _: Body(chunks(2), Failure("close"))),
    "length": _answers(lambda _: _generator(1), [*PLAIN, ("Content-Length", "8")]),
    "too short": _answers(lambda _: [b"short"], [*PLAIN, ("Content-Length", "50")]),
    "too long": _answers(lambda _: [b"0123456789"], [*PLAIN, ("Content-Length", "5")]),
    "no content": _answers(lambda _: [], [], "204 No Content"),
    "not modified": _answers(lambda _: [b"body?"], [], "304 Not Modified"),
    "cookies": _answers(lambda _: [b"x"], [*PLAIN, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=\xe9")]),
    "bad status": _answers(lambda _: [b"x"], PLAIN, "odd"),
    "bad header": _answers(lambda _: [b"x"], [("X-Any", "a\r\nX-More: b")]),
    "hop by hop": _answers(lambda _: [b"x"], [*PLAIN, ("Connection", "close")]),
    "file": _answers(_wrapped(_open), LENGTH),
    "file without length": _answers(_wrapped(_open)),
    "file in blocks": _answers(_wrapped(_open, 1_000), LENGTH),
    "end of file": _answers(_wrapped(_from_middle), [*PLAIN, ("Content-Length", "1000")]),
    "part of file": _answers(_wrapped(_from_middle), [*PLAIN, ("Content-Length", "10")]),
    "file in memory": _answers(_wrapped(lambda: BytesIO(b"in memory")), [*PLAIN, ("Content-Length", "9")]),
    "slow": _slow,
    "late": _late_start,
    "write": _write,
    "replace": _replace,
    "too late": _too_late,
    "twice": _twice,
    "silent": _silent,
    "fail": _fail,
    "echo": _echo,
    "endless": _answers(lambda _: _endless()),
}


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """The app whose name the path ends in."""
    name = environ["PATH_INFO"].rpartition("/")[2].replace("-", " ")
    return APPS.get(name, _echo)(environ, start_response)
