"""The middleware for any ASGI app."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from swprof_mw.application import Application
from swprof_mw.asgi.framework import Framework
from swprof_mw.asgi.head import caller
from swprof_mw.asgi.quiet import QuietRequest
from swprof_mw.asgi.types import ASGIApp, Message, Receive, Scope, Send
from swprof_mw.components import PYTHON
from swprof_mw.failures import failed, guarded, note
from swprof_mw.log import fields
from swprof_mw.span import CLIENT_GONE, FAILED

if TYPE_CHECKING:
    from types import FrameType

    from typing_extensions import Unpack

    from swprof_mw.asgi.request import Request
    from swprof_mw.settings import Settings

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError)


class SWProfilerMiddleware:
    """Traces and profiles the requests and WebSockets of an ASGI app, and changes nothing of what passes.

    Either ``app.add_middleware(SWProfilerMiddleware, service_name="shop")`` or
    ``app = SWProfilerMiddleware(app, service_name="shop")``. With ``enabled=False``, or switched off in the
    environment, the second gives back ``app`` itself.

    Args:
        app: any ASGI 3 app; the names of endpoints are Starlette's, FastAPI's or Litestar's routes, and made out of
            the paths of others.
        settings: see the settings' page; what is not given comes from the environment.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """

    app: ASGIApp
    _application: Application
    _request: type[Request]
    _framework: Framework | None
    #: The same where requests may be without a span, and their routes can be known at their end.
    _known: Framework | None = None

    def __new__(cls, app: ASGIApp, **settings: Unpack[Settings]) -> Any:
        """The middleware, or the app if we are off."""
        self = super().__new__(cls)
        self.app = app
        self._application = Application(PYTHON, settings, default_name=self._app_name)
        self._framework = None
        if not self._application.enabled:
            return app
        # It brings asyncio, which some frameworks do not import, and which takes longer than all of ours.
        from swprof_mw.asgi.request import Request

        self._request = Request
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        """Call the app; its exceptions pass through."""
        quiet = None
        # Not by way of `_open` and what it gives: each call and object more is a good part of all this costs.
        if self._known is not None and self._application.is_quiet:
            try:
                if scope["type"] == "http" and "router" not in scope:
                    quiet = QuietRequest(self._application, self._known, scope, send)
            except _MALFORMED:
                pass  # `_open` says so
        if quiet is not None:
            try:
                result = await self.app(scope, receive, quiet.send)
            except Exception as error:
                quiet.finish(scope, FAILED, error)
                raise
            except BaseException:  # cancelled or closed: nobody is there for the answer
                quiet.finish(scope, CLIENT_GONE)
                raise
            quiet.finish(scope, FAILED)
            return result
        request = self._open(scope, receive, send, sys._getframe())
        if request is None:
            return await self.app(scope, self._starting(scope, receive), send)
        try:
            result = await self.app(request.scope, request.receive, request.send)
            if not request.is_over:
                request.finish(FAILED)
            return result
        except Exception as error:
            request.fail(error)
            raise
        except BaseException:  # cancelled or closed: nobody is there for the answer
            request.finish(CLIENT_GONE)
            raise
        finally:
            request.span.deactivate(request.token)

    def _open(self, scope: Scope, receive: Receive, send: Send, frame: FrameType) -> Request | None:
        """The request that begins inside of ``frame``.

        None for what is not traced, lifespans and scopes that are not as they should be.
        """
        try:
            try:
                if scope["type"] not in ("http", "websocket"):
                    return None
                request, (client, sw8) = self._request(scope), caller(scope)
            except _MALFORMED as error:
                extra = fields("scope_ignored", error=f"{type(error).__name__}: {error}")
                note("a scope that is not as ASGI has it: %s: %s", type(error).__name__, error, extra=extra)
                return None
            framework = self._framework or self._look(scope)
            span = self._application.begin(request.method, request.full_path, client, sw8)
            if span is None:
                return None
            request.begin(framework, span, frame, scope, receive, send)
            return request
        except Exception:  # noqa: BLE001
            failed("beginning a request")
            return None

    def _look(self, scope: Scope) -> Framework:
        self._framework = framework = Framework(self.app, scope)
        self._application.component = framework.component
        self._known = framework if framework.is_known and self._application.filter.only_profiled else None
        return framework

    def _app_name(self) -> str:
        return self._framework.name if self._framework is not None else ""

    def _starting(self, scope: Scope, receive: Receive) -> Receive:
        """``receive``; of a lifespan, one that starts this process's agent with the app."""

        async def receive_startup() -> Message:
            message = await receive()
            self._start(scope, message)
            return message

        return receive_startup if isinstance(scope, dict) and scope.get("type") == "lifespan" else receive

    @guarded("starting with the app")
    def _start(self, scope: Scope, message: Message) -> None:
        if message["type"] == "lifespan.startup":
            self._look(scope)
            self._application.attach()
