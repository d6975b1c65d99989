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
from swprof_mw.nested_span import Span
from swprof_mw.span import CLIENT_GONE, FAILED


class Request(Head, Exchange):
    """A traced request: from its span's beginning to its end, which may come long before the app returns.

    The app is given its ``receive`` and ``send`` in place of the server's. It is its head and its exchange itself: one
    object a request costs less than three.

    Args:
        scope: as it came in.

    Attributes:
        scope: what the app is to be called with.
        span: the request's.
        token: for ``span.deactivate``, once the app has returned or raised.
        is_over: whether its span has ended, or is about to.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the scope is not as ASGI has it.
    """

    # Until it is otherwise: the class's, so that one costs less to make.
    _is_named = False
    is_over = False
    _is_watched = False

    def begin(
        self, framework: Framework, span: Span, frame: FrameType, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """The app, which is a ``framework``, is called now, as ``span``, inside of ``frame``, a coroutine's.

        ``scope``, ``receive`` and ``send`` are the server's.
        """
        self.scope = scope
        self._receive = receive
        self._send = send
        self._framework = framework
        self.span = span
        index = framework.index
        # Asked here, since mostly there is nothing to ask further: each call costs a request something.
        may_vary = index is not None and (index.mounts_vary or len(index.router.routes) != index.count)
        if span.wants_route or (may_vary and framework.mounts_vary):
            self.scope = scope_for(framework, span, scope, self) or scope
            self._is_watched = type(self.scope) is WatchedScope
        try:
            loop = get_running_loop()
            span.enter_task(frame, current_task(loop), loop)
        except RuntimeError:  # a loop that is not asyncio's: found while it runs only
            span.enter(frame)
        # At last: whoever activates it has to deactivate it.
        self.token: Any = span.activate()

    def finish(self, otherwise: int) -> None:
        """The request is over, if it was not before; ``otherwise`` is its status where the app gave none."""
        if self.is_over:
            return
        self.is_over = True
        if not self._is_named:
            name(self._framework, self.span, self.scope, self)
        if not self.is_one_piece and self.is_long_lived:
            self.span.mark_long_lived()
        self.span.end(self.status or otherwise)

    def fail(self, error: Exception) -> None:
        """The app raised ``error``."""
        self.span.error(error)
        self.finish(FAILED)

    async def receive(self) -> Message:
        """The server's ``receive``: it is how the app hears that the client is gone."""
        try:
            message = await self._receive()
        finally:
            if self._is_watched:
                self._refresh()
        if not self.is_over and self.is_gone(message):
            self.finish(CLIENT_GONE)
        return message

    async def send(self, message: Message) -> Any:
        """The server's ``send``."""
        is_last = not self.is_over and self.ends_with(message)
        if is_last:
            # The middleware further out, if there is one, ends the request with this very message.
            self._is_named = True
            name(self._framework, self.span, self.scope, self)
            if self.status >= FAILED:
                self._note_failure()
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

    def _note_failure(self) -> None:
        """The answer to a request that has failed is about to be handed on.

        A framework that answers for a failed view does so while it handles the exception. What it raises after that, if
        anything, comes when the request is over.
        """
        kind, error, _ = sys.exc_info()
        if error is not None and issubclass(kind or object, Exception):  # not asked itself: it may fail at that
            self.span.error(error)
