"""One run of a generated WSGI request: the server and the app, which note what they see."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections import UserDict
from collections.abc import Callable, Iterator
from io import BytesIO
from types import MappingProxyType
from typing import Any
from wsgiref.util import FileWrapper

from swprof_mw.profiling.locate.place import current_request
from swprof_mw.wsgi.entry import SPAN
from tests.generated import wsgi_bodies as bodies
from tests.generated.observed import RAISED, VARIABLES, Log, handled
from tests.generated.wsgi_cases import MISSING, Case, Step
from tests.wsgi_client import make_environ

App = Callable[..., Any]


class Environ(dict[str, Any]):
    """A server's own kind of dict."""


#: By the name of its kind.
MAPPINGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "dict": dict,
    "subclass": Environ,
    "user's": UserDict,
    "read only": MappingProxyType,
    "none": lambda environ: None,
}


class World:
    """One run of a case: the server and its app, which note what they see.

    Attributes:
        log: what was seen.
    """

    def __init__(self, case: Case) -> None:
        self.log = Log()
        self._case = case
        self._wrapper = {"none": None, "class": FileWrapper, "function": bodies.wrap}[case.wrapper]
        self._environ = self._make_environ()
        self._started = False
        self._write: Any = None
        self._headers: Any = None
        self._sent = False
        self._writes = 0

    def _make_environ(self) -> Any:
        changes = {"wsgi.input": BytesIO(b"0123456789"), **self._case.changes}
        if self._wrapper is not None:
            changes["wsgi.file_wrapper"] = self._wrapper
        environ = make_environ()
        environ.update(changes)
        kept = {key: value for key, value in environ.items() if not (isinstance(value, str) and value == MISSING)}
        return MAPPINGS[self._case.mapping](kept)

    # The server's side.

    def serve(self, app: App) -> None:
        """Call an app, and do with its body what the case says."""
        done, body = self.log.attempt("call", app, self._environ, self.start_response)
        if not done:
            return
        # What a server may treat in its own way: by type, or by identity.
        self.log.note("body", isinstance(body, list | tuple), isinstance(body, bytes), body is bodies.ALREADY_HANDLED)
        self.log.note("environ", self._told_environ(), current_request.get())
        iterator = None
        for operation in self._case.reads:
            if operation == "iter":
                _, iterator = self.log.attempt(operation, iter, body)
            elif operation in ("all", "next", "thread", "elsewhere") and iterator is None:
                _, iterator = self.log.attempt("iter", iter, body)
            self._read(operation, body, iterator)
            self.log.note("read", current_request.get())
        del iterator
        self.log.note("dropped")
        del body
        self.log.note("over", self._told_environ())

    def _read(self, operation: str, body: Any, iterator: Any) -> None:
        log = self.log
        if operation == "all":
            for _ in range(20):
                if not log.attempt("next", next, iterator)[0]:
                    break
        elif operation == "next":
            log.attempt("next", next, iterator)
        elif operation == "thread":
            _on_thread(lambda: log.attempt("next", next, iterator))
        elif operation == "elsewhere":
            contextvars.copy_context().run(log.attempt, "next", next, iterator)
        elif operation == "direct" and self._is_iterator:
            log.attempt("direct", next, body)
        elif operation == "length":
            log.note("length", len(body) if hasattr(type(body), "__len__") else None)
        elif operation == "file":
            log.note("file", bodies.is_file(body, self._wrapper))
        elif operation == "close" and hasattr(body, "close"):
            self._close(body)
        elif operation == "away" and hasattr(body, "close"):
            _on_thread(lambda: self._close(body))

    def _close(self, body: Any) -> None:
        done, _ = self.log.attempt("close", body.close)
        # A body that has none cannot be told from one whose close does nothing.
        if done and self.log.events[-1][0] == "close":
            self.log.events.pop()

    def start_response(self, *args: Any, **kwargs: Any) -> Callable[[bytes], None]:
        """The server's."""
        self.log.note("start_response", args[:2], len(args), sorted(kwargs), handled())
        self._note_identity(args, kwargs)
        exc_info = args[2] if len(args) > 2 else kwargs.get("exc_info")
        if exc_info and self._sent:
            try:
                raise exc_info[1]
            finally:
                # As PEP 3333 has it: else the exception holds itself, and the frames that it passed.
                del args, kwargs, exc_info
        if self._case.strict:
            if self._started and not exc_info:
                raise AssertionError("start_response was called again")
            status = args[0] if args else kwargs["status"]
            if not isinstance(status, str) or not status[:3].isdigit():
                raise ValueError(f"status {status!r}")
        self._started = True
        self._write = self.write
        return self._write  # type: ignore[no-any-return]

    def _note_identity(self, args: Any, kwargs: Any) -> None:
        headers = args[1] if len(args) > 1 else kwargs.get("headers")
        self.log.note("headers", headers is self._headers)

    def write(self, data: bytes) -> None:
        """The server's."""
        self._writes += 1
        self.log.note("write", data)
        if self._writes > self._case.fails:
            raise OSError("gone")
        self._sent = True

    # The app's side.

    def app(self, environ: Any, start_response: Callable[..., Any]) -> Any:
        """Do what the case says."""
        self.log.note("called", environ is self._environ, self._told_environ(), handled())
        self._app_start = start_response
        self._app_environ = environ
        for step in self._case.call:
            self._do(step)
        return self._body()

    def _told_environ(self) -> Any:
        if self._environ is None:
            return None
        hidden = {SPAN, "wsgi.input", "wsgi.errors"}
        return [(key, repr(value)) for key, value in self._environ.items() if key not in hidden]

    def _do(self, step: Step) -> Any:
        kind, *rest = step
        self.log.note("step", kind, handled(), threading.current_thread() is threading.main_thread())
        if kind == "chunk":
            return rest[0]
        if kind == "raise":
            raise RAISED[rest[0]]()
        if kind == "swallow":
            self._swallow(rest[0])
        elif kind == "start":
            self._do_start(*rest)
        elif kind == "write" and self._write is not None:
            self._app_write(rest[0])
        elif kind == "read":
            self.log.note("input", self._app_environ["wsgi.input"].read(rest[0]))
        elif kind == "set":
            VARIABLES[rest[0]].set(str(rest[1]))
        elif kind == "environ":
            self._change(*rest)
        elif kind == "copy":
            contextvars.copy_context().run(VARIABLES[rest[0]].set, "in a copy")
        return None

    def _swallow(self, kind: str) -> None:
        try:
            raise RAISED[kind]()
        except BaseException:
            self._do(("start", "500 Oops", [], "exc_info"))

    def _do_start(self, status: Any, headers: list[tuple[str, str]], how: str) -> None:
        self._headers = headers
        if how == "positional":
            self._app_write = self._app_start(status, headers)
        elif how == "keywords":
            self._app_write = self._app_start(status=status, headers=headers)
        elif how == "none":
            self._app_write = self._app_start(status, headers, exc_info=None)
        elif how == "three":
            self._app_write = self._app_start(status, headers, None)
        elif how == "exc_info":
            self._app_write = self._app_start(status, headers, sys.exc_info())
        else:
            self._app_write = self._app_start(status)
        self.log.note("write is", self._app_write is self._write)

    def _change(self, how: str, key: str, value: str) -> None:
        if how == "set":
            self._app_environ[key] = value
        elif how == "pop":
            self._app_environ.pop(key, None)
        elif key != SPAN:
            del self._app_environ[key]

    def _chunks(self) -> Iterator[Any]:
        for step in self._case.chunks:
            made = self._do(step)
            if step[0] == "chunk":
                yield made

    def _generate(self) -> Iterator[Any]:
        try:
            yield from self._chunks()
        finally:
            self.log.note("finally", handled())
            for step in self._case.close:
                self.log.attempt("finally", self._do, step)

    def _body(self) -> Any:
        plain = [step[1] for step in self._case.chunks if step[0] == "chunk"]
        make: dict[str, Callable[[], Any]] = {
            "list": lambda: plain,
            "tuple": lambda: tuple(plain),
            "bytes": lambda: b"".join(plain),
            "list of ours": lambda: bodies.ListOfOurs(plain),
            "bytes of ours": lambda: bodies.BytesOfOurs(b"".join(plain)),
            "bytearray": lambda: bytearray(b"".join(plain)),
            "text": lambda: "text",
            "dict": lambda: dict.fromkeys(plain),
            "none": lambda: None,
            "number": lambda: 7,
            "object": lambda: bodies.ALREADY_HANDLED,
            "generator": self._generate,
            "iterator": self._chunks,
            "closing": lambda: bodies.Closing(self.log.note, self.closed, self._chunks()),
            "sized": lambda: bodies.Sized(self.closed, plain),
            "indexed": lambda: bodies.Indexed(plain),
            "map": lambda: map(bytes, self._chunks()),
            "clingy": lambda: bodies.Clingy(self.log.note, self.closed, self._chunks()),
            "own close": lambda: bodies.FailsToClose(plain),
            "file": lambda: BytesIO(b"".join(plain)),
            "wrapped": lambda: (self._wrapper or FileWrapper)(BytesIO(b"".join(plain))),
            "mock": bodies.Mock,
        }
        body = make[self._case.body]()
        self._is_iterator = hasattr(type(body), "__next__")
        return body

    def closed(self) -> None:
        """The app's body is closed."""
        self.log.note("closed", handled())
        for step in self._case.close:
            self._do(step)


def _on_thread(function: Callable[[], Any]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
