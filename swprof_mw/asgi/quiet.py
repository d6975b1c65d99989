"""A request that is not going to be reported, most likely."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from swprof_mw.asgi.exchange import Exchange
from swprof_mw.asgi.framework import Framework
from swprof_mw.asgi.head import Head, caller
from swprof_mw.asgi.naming import name
from swprof_mw.asgi.target import ROUTE
from swprof_mw.asgi.types import Message, Receive, Scope, Send
from swprof_mw.clock import monotonic_ns
from swprof_mw.failures import failed
from swprof_mw.span import FAILED, EntrySpan

if TYPE_CHECKING:
    from swprof_mw.application import Application


class QuietRequest(Head):
    """A request without a span. Once it is over its route tells whether it is to be reported after all.

    It stands where a `Request` would.

    Args:
        application: what makes the spans.
        framework: the app's.
        scope: of an ``http`` connection.
        receive: the server's.
        send: the server's.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the scope is not as ASGI has it.
    """

    _start: Message | None = None
    _over = 0

    def __init__(
        self, application: Application, framework: Framework, scope: Scope, receive: Receive, send: Send
    ) -> None:
        Head.__init__(self, scope)
        self._application = application
        self._framework = framework
        self.scope = scope
        self.receive = receive
        self._send = send
        self._began = monotonic_ns()

    def send(self, message: Message) -> Awaitable[Any]:
        """The server's ``send``."""
        try:
            kind = message["type"]
            if kind == "http.response.start":
                self._start = message
            elif not message.get("more_body"):
                self._over = monotonic_ns()
        except Exception:  # noqa: BLE001
            failed("following a response")
        return self._send(message)

    def finish(self, otherwise: int, error: Exception | None = None) -> None:
        """The app has returned, raised ``error``, or was cancelled; ``otherwise`` is its status where it gave none."""
        try:
            scope = self.scope
            index = self._framework.indexes.get(id(scope.get("router")))
            if index is None or self._began >= index.unwanted.get((id(scope.get("endpoint")), self.method), 0):
                self._conclude(otherwise, error)
        except Exception:  # noqa: BLE001
            failed("reporting a request")

    def fail(self, error: Exception) -> None:
        """The app raised ``error``."""
        self.finish(FAILED, error)

    def leave(self) -> None:
        """As of a `Request`: there is nothing to put back."""

    def _conclude(self, otherwise: int, error: Exception | None) -> None:
        if self._began >= self._due_at():
            self._report(otherwise, error)

    def _due_at(self) -> int:
        """From when on a request like this one is to be reported; 0 where only a span can tell what it is named."""
        target = self._framework.target(self.scope, self)
        if target is None:
            template = self.scope.get("path_template")  # of Litestar; empty where it has handed on to a mounted app
            return 0 if template == "" else self._application.due_at(self.method, template)
        if target.kind is not ROUTE or self.root_path:
            return 0
        due = self._application.due_at(self.method, target.template)
        index = self._framework.indexes.get(id(self.scope.get("router")))
        if index is not None:
            index.not_wanted(target.endpoint, self.method, due)
        return due

    def _report(self, otherwise: int, error: Exception | None) -> None:
        span = self._application.begin(self.method, self.full_path, *caller(self.scope))
        if not isinstance(span, EntrySpan):
            return
        span.backdate(self._began, self._over)
        if error is not None:
            span.error(error)
        name(self._framework, span, self.scope, self)
        exchange = Exchange()
        if self._start is not None:
            exchange.ends_with(self._start)
        if exchange.is_long_lived:
            span.mark_long_lived()
        span.end(exchange.status or otherwise)
