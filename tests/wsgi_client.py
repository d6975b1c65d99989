"""A WSGI server in a function: asks an app as a server would, and says all that it saw of the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes
from wsgiref.util import setup_testing_defaults

App = Callable[..., Iterable[bytes]]


class Answer(NamedTuple):
    """An answer read to its end and closed."""

    status: str
    headers: dict[str, str]
    body: bytes


def make_environ(path: str = "/", method: str = "GET", /, **more: Any) -> dict[str, Any]:
    """What a server would make of ``METHOD path``, the path quoted and with its query; ``more`` wins."""
    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "5123",
        **more,
    }
    setup_testing_defaults(environ)
    return environ


def ask(app: App, path: str = "/", method: str = "GET", /, **more: Any) -> Answer:
    """Ask, read all chunks, close."""
    said: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        said[:] = [status, headers]
        return written.append

    body = app(make_environ(path, method, **more), start_response)
    try:
        chunks = b"".join(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    status, headers = said
    return Answer(status, dict(headers), b"".join(written) + chunks)


def watch(app: App, environ: dict[str, Any]) -> list[Any]:
    """Every event that a server sees while it serves this request, exceptions included, in their order."""
    seen: list[Any] = []

    def write(data: bytes) -> None:
        seen.append(("write", data))

    def start_response(*args: Any, **kwargs: Any) -> Callable[[bytes], None]:
        # Once headers are out, PEP 3333 has the server raise what it is given.
        seen.append(("start", args[:2], bool(args[2:]), kwargs))
        if args[2:] and any(event[0] in ("write", "chunk") for event in seen):
            raise args[2][1]
        return write

    try:
        _serve(app(environ, start_response), environ.get("wsgi.file_wrapper"), seen)
    except BaseException as failure:
        seen.append(("raised", type(failure), failure.args))
    return seen


def _serve(body: Iterable[bytes], wrapper: Any, seen: list[Any]) -> None:
    seen.append(("length", len(body) if isinstance(body, Sized) else None))
    seen.append(("to be sent as a file", wrapper is not None and _is_file(body, wrapper)))
    try:
        for chunk in body:
            seen.append(("chunk", chunk))
    finally:
        if hasattr(body, "close"):
            body.close()


def _is_file(body: object, wrapper: Any) -> bool:
    """As gunicorn and waitress tell, by the type; or uWSGI and mod_wsgi, whose wrapper is a function."""
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    return hasattr(body, "read") or hasattr(body, "filelike")
