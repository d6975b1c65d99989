"""One request or WebSocket on its way through the middleware."""

from __future__ import annotations

import sys
from asyncio import current_task, get_running_loop
from types import FrameType
from typing import Any

from swprof_mw.asgi.exchange import Exchange
from swprof_mw.asgi.framework import Framework
from swprof_mw.asgi.head import Head
from swprof_mw.asgi.naming import name, scope_for
from swprof_mw.asgi.types import Message, Receive, Scope, Send
from swprof_mw.asgi.watched import WatchedScope
from swprof_mw.failures import guarded
from swprof_mw.span import CLIENT_GONE, FAILED, Span


class Request:
    """A traced request: from its span's beginning to its end, which may come long before the app returns.

    The app is given its ``receive`` and ``send`` in place of the server's.

    Args:
        framework: what the app is.
        span: the request's span.
        scope: as it came in.
        head: what that scope said.
        receive: the server's.
        send: the server's.

    Attributes:
        scope: what the app is to be called with.
    """

    # Until it is otherwise: the class's, so that one costs less to make.
    _is_named = False
    _over = False

    def __init__(
        self, framework: Framework, span: Span, scope: Scope, head: Head, receive: Receive, send: Send
    ) -> None:
        self._framework = framework
        self._span = span
        self._head = head
        self._exchange = Exchange()
        self._receive = receive
        self._send = send
        self.scope = scope_for(framework, span, scope, head) or scope
        self._is_watched = type(self.scope) is WatchedScope

    def enter(self, frame: FrameType) -> None:
        """The app is called now, inside of ``frame``, a coroutine's."""
        try:
            loop = get_running_loop()
            self._span.enter_task(frame, current_task(loop), loop)
        except RuntimeError:  # a loop that is not asyncio's: found while it runs only
            self._span.enter(frame)
        self._token: Any = self._span.activate()

    def leave(self) -> None:
        """The app has returned or raised."""
        self._span.deactivate(self._token)

    def finish(self, otherwise: int) -> None:
        """The request is over, if it was not before; ``otherwise`` is its status where the app gave none."""
        if not self._over:
            self._over = True
            self._name()
            if self._exchange.is_long_lived:
                self._span.mark_long_lived()
            self._span.end(self._exchange.status or otherwise)

    def fail(self, error: Exception) -> None:
        """The app raised ``error``."""
        self._span.error(error)
        self.finish(FAILED)

    async def receive(self) -> Message:
        """The server's ``receive``: it is how the app hears that the client is gone."""
        try:
            message = await self._receive()
        finally:
            if self._is_watched:
                self._refresh()
        if not self._over:
            self._received(message)
        return message

    async def send(self, message: Message) -> Any:
        """The server's ``send``."""
        is_last = not self._over and self._ends_with(message)
        try:
            result = await self._send(message)
        except OSError:  # it is how a server says that the client is gone
            self.finish(CLIENT_GONE)
            raise
        finally:
            if self._is_watched:
                self._refresh()
        if is_last:
            self.finish(FAILED)
        return result

    @guarded("refreshing a scope")
    def _refresh(self) -> None:
        """Middleware further out may have written into its own scope meanwhile."""
        if type(self.scope) is WatchedScope:
            self.scope.refresh()

    @guarded("following a request")
    def _received(self, message: Message) -> None:
        if self._exchange.note_received(message):
            self.finish(CLIENT_GONE)

    @guarded("following a response")
    def _ends_with(self, message: Message) -> bool:
        if not self._exchange.note_sent(message):
            return False
        # Before it is handed on: the middleware further out, if there is one, ends the request with this very message.
        self._name()
        # A framework that answers for a failed view does so while it handles the exception. What it raises after
        # that, if anything, comes when the request is over.
        if self._exchange.status >= FAILED:
            error = sys.exc_info()[1]
            if isinstance(error, Exception):
                self._span.error(error)
        return True

    def _name(self) -> None:
        if not self._is_named:
            self._is_named = True
            name(self._framework, self._span, self.scope, self._head)
