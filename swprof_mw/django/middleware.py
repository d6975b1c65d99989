"""The middleware of a Django site."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponseBase

from swprof_mw.django import site
from swprof_mw.django.responses import follow
from swprof_mw.django.routes import readable
from swprof_mw.django.tasks import HARMLESS, end_with_task, run_in_task
from swprof_mw.failures import guarded
from swprof_mw.span import CLIENT_GONE, FAILED, EntrySpan
from swprof_mw.wsgi import Exchange, caller

#: The attribute of a request that holds its span.
_SPAN = "swprof_mw_span"


class SWProfilerMiddleware:
    """Traces the requests of a Django site, and profiles the ones that a task asks for.

    It should be the first of ``MIDDLEWARE``: what is before it, it does not see. Settings are in ``settings.SWPROF``, a
    dict as `swprof_mw.config` has it. ``service_name`` is by default the package of ``ROOT_URLCONF``.

    Args:
        get_response: the rest of the site, a coroutine function under ASGI.

    Raises:
        MiddlewareNotUsed: it is not enabled, or a setting is not valid: the log and the system checks say which.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._application = site.application()
        self._is_async = iscoroutinefunction(get_response)
        # Under ASGI, Django calls a hook that is no coroutine function on another thread, which takes longer than all
        # the rest of this; under WSGI, one that is takes longer still. Django looks once, when it has made the object.
        self.process_view: Callable[..., Any] = self._process_view_async if self._is_async else self._process_view
        if self._is_async:
            markcoroutinefunction(self)
        got_request_exception.connect(_failed)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request. Raises what the rest of the site raises."""
        if self._is_async:
            return self.__acall__(request)
        span = self._open(request)
        if span is None:
            return self.get_response(request)
        exchange = Exchange(span)
        try:
            response = exchange.run(self.get_response, request)
        except BaseException:
            span.end(FAILED)
            raise
        # Under ASGI this runs on a thread of asgiref's if a middleware below is no coroutine function.
        follow(exchange, response, is_closed=not hasattr(request, "scope"))
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request under ASGI. Raises what the rest of the site raises."""
        span = self._open(request)
        if span is None:
            return await self.get_response(request)
        try:
            response = await run_in_task(span, self.get_response, request)
        except BaseException as exception:
            span.end(CLIENT_GONE if isinstance(exception, HARMLESS) else FAILED)
            raise
        exchange = Exchange(span)
        follow(exchange, response)
        if not span.ended:
            end_with_task(exchange)
        return response

    @guarded("reading a Django request")
    def _open(self, request: HttpRequest) -> EntrySpan | None:
        """The request that begins; None where there is nothing to do: not traced, or an outer adapter has it."""
        span = self._application.begin(request.method.upper(), request.path, *caller(request.META))
        setattr(request, _SPAN, span)
        return span if isinstance(span, EntrySpan) else None

    def _process_view(self, request: HttpRequest, *_: object) -> None:
        """Django has found the route, and runs the view next."""
        _name(request)

    async def _process_view_async(self, request: HttpRequest, *_: object) -> None:
        _name(request)


@guarded("naming a Django request")
def _name(request: HttpRequest) -> None:
    span = getattr(request, _SPAN, None)
    if span is None:
        return
    route = request.resolver_match.route
    if route is None:  # a resolver of the site's own making
        span.route_by_path()
    else:
        prefix = request.META.get("SCRIPT_NAME", "").rstrip("/")
        span.route(f"{prefix}/{readable(route).lstrip('/')}")


@guarded("logging a Django exception")
def _failed(request: HttpRequest | None = None, **_: object) -> None:
    """Django is about to make a 500 of the exception that is being handled."""
    span = getattr(request, _SPAN, None)
    exception = sys.exc_info()[1]
    if span is not None and exception is not None:
        span.error(exception)
