"""A request that is not going to be reported, most likely."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from swprof_mw.asgi.exchange import Exchange
from swprof_mw.asgi.framework import Framework
from swprof_mw.asgi.head import Head, caller
from swprof_mw.asgi.naming import name
from swprof_mw.asgi.target import ROUTE
from swprof_mw.asgi.types import Message, Scope, Send
from swprof_mw.clock import monotonic_ns
from swprof_mw.failures import failed
from swprof_mw.span import EntrySpan

if TYPE_CHECKING:
    from swprof_mw.application import Application


class QuietRequest:
    """A request without a span. Once it is over its route tells whether it is to be reported after all.

    Hardly more than nothing is done before the app is called: what it takes to report a request is found out when it
    turns out to be due.

    Args:
        application: what makes the spans.
        framework: the app's.
        scope: of an ``http`` connection that no router has seen yet.
        send: the server's.

    Raises:
        KeyError, TypeError, AttributeError: the scope is not as ASGI has it.
    """

    __slots__ = ("_application", "_began", "_framework", "_method", "_over", "_path", "_root_path", "_send", "_start")

    def __init__(self, application: Application, framework: Framework, scope: Scope, send: Send) -> None:
        # What routers change in place.
        self._path = scope["path"]
        self._root_path = scope.get("root_path")
        self._method = scope["method"]
        self._application = application
        self._framework = framework
        self._send = send
        self._start: Message | None = None
        self._over = 0
        self._began = monotonic_ns()

    def send(self, message: Message) -> Awaitable[Any]:
        """The server's ``send``."""
        try:
            if message["type"] == "http.response.start":
                self._start = message
            elif not message.get("more_body"):
                self._over = monotonic_ns()
        except Exception:  # noqa: BLE001
            failed("following a response")
        return self._send(message)

    def finish(self, scope: Scope, otherwise: int, error: Exception | None = None) -> None:
        """The app has returned, raised ``error``, or was cancelled; ``otherwise`` is its status where it gave none."""
        try:
            index = self._framework.indexes.get(id(scope.get("router")))
            if index is None or self._began >= index.unwanted.get((id(scope.get("endpoint")), self._method), 0):
                head = Head({"type": "http", "method": self._method, "path": self._path, "root_path": self._root_path})
                if self._began >= self._due_at(scope, head):
                    self._report(scope, head, otherwise, error)
        except Exception:  # noqa: BLE001
            failed("reporting a request")

    def _due_at(self, scope: Scope, head: Head) -> int:
        """From when on a request like this one is to be reported; 0 where only a span can tell what it is named."""
        target = self._framework.target(scope, head)
        if target is None:
            template = scope.get("path_template")  # of Litestar; empty where it has handed on to a mounted app
            return 0 if template == "" else self._application.due_at(head.method, template)
        if target.kind is not ROUTE or head.root_path:
            return 0
        due = self._application.due_at(head.method, target.template)
        index = self._framework.indexes.get(id(scope.get("router")))
        if index is not None:
            index.not_wanted(target.endpoint, self._method, due)
        return due

    def _report(self, scope: Scope, head: Head, otherwise: int, error: Exception | None) -> None:
        span = self._application.begin(head.method, head.full_path, *caller(scope))
        if not isinstance(span, EntrySpan):
            return
        span.backdate(self._began, self._over)
        if error is not None:
            span.error(error)
        name(self._framework, span, scope, head)
        exchange = Exchange()
        if self._start is not None:
            exchange.ends_with(self._start)
        if exchange.is_long_lived:
            span.mark_long_lived()
        span.end(exchange.status or otherwise)
