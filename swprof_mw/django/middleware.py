"""The middleware of a Django site."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponseBase

from swprof_mw.clock import monotonic_ns
from swprof_mw.django import site
from swprof_mw.django.responses import follow
from swprof_mw.django.routes import template
from swprof_mw.django.tasks import HARMLESS, enter_task
from swprof_mw.failures import failed, guarded
from swprof_mw.span import CLIENT_GONE, FAILED, EntrySpan
from swprof_mw.wsgi.entry import caller

#: The attribute of a request that holds its span.
_SPAN = "swprof_mw_span"
#: And of one without: its middleware, and when it began, monotonic ns.
_QUIET = "swprof_mw_quiet"


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
        self.process_view: Callable[..., Any] = _name_in_task if self._is_async else _name
        if self._is_async:
            markcoroutinefunction(self)
        got_request_exception.connect(_failed)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request. Raises what the rest of the site raises."""
        if self._is_async:
            return self.__acall__(request)
        if self._application.is_quiet:
            request.swprof_mw_quiet = self, (began := monotonic_ns())
            return self._followed(request, self.get_response(request), began)
        span = self._open(request)
        if span is None:
            return self.get_response(request)
        # As `wsgi.run` does it, without a call more.
        token = span.activate()
        span.enter(sys._getframe())
        try:
            response = self.get_response(request)
        except BaseException as exception:
            if not issubclass(type(exception), StopIteration):  # the exception itself may not even tell its class
                span.error(exception)
            span.deactivate(token)
            span.end(FAILED)
            raise
        # Before the thread does anything else: the server's threads outlive requests.
        span.leave()
        span.deactivate(token)
        if not follow(span, request, response):
            span.end(FAILED)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request under ASGI. Raises what the rest of the site raises."""
        if self._application.is_quiet:
            request.swprof_mw_quiet = self, (began := monotonic_ns())
            return self._followed(request, await self.get_response(request), began, in_task=True)
        span = self._open(request)
        if span is None:
            return await self.get_response(request)
        # As `run_in_task` does it, without a coroutine more.
        token = span.activate()
        enter_task(span, sys._getframe())
        try:
            response = await self.get_response(request)
        except BaseException as exception:
            is_harmless = issubclass(type(exception), HARMLESS)
            if not is_harmless:
                span.error(exception)
            span.deactivate(token)
            span.end(CLIENT_GONE if is_harmless else FAILED)
            raise
        span.leave()
        span.deactivate(token)
        if not follow(span, request, response, in_task=True):
            span.end(FAILED)
        return response

    def _followed(self, request: Any, response: Any, began: int, in_task: bool = False) -> Any:
        """The response to a request without a span: it gets one now, if it is to be reported after all."""
        try:
            span = getattr(request, _SPAN, None) or self._late(request, began)
            if span is not None:
                follow(span, request, response, in_task)
        except Exception:  # noqa: BLE001
            failed("reporting a Django request")
        return response

    def _late(self, request: Any, began: int) -> EntrySpan | None:
        """The span of a request that began without one, if it is to be reported after all."""
        match = request.resolver_match
        route = match and match.route
        # With a resolver of the site's own making, a match has no route: then only its span knows what it is named.
        if not (match and route is None) and not self._application.is_due(
            request.method.upper(), _full(request, route)
        ):
            return None
        span = self._open(request)
        if span is not None:
            span.backdate(began)
            if match:
                _name(request)
        return span

    def _open(self, request: HttpRequest) -> EntrySpan | None:
        """The request that begins; None where there is nothing to do: not traced, or an outer adapter has it."""
        try:
            span = self._application.begin(request.method.upper(), request.path, *caller(request.META))
            request.swprof_mw_span = span
            return span if isinstance(span, EntrySpan) else None
        except Exception:  # noqa: BLE001
            failed("reading a Django request")
            return None


def _name(request: HttpRequest, *_: object) -> None:
    """Django has found the route, and runs the view next."""
    try:
        span = getattr(request, _SPAN, None)
        if span is None:
            return
        route = request.resolver_match.route
        if route is None:  # a resolver of the site's own making
            span.route_by_path()
            return
        span.route(_full(request, route))
    except Exception:  # noqa: BLE001
        failed("naming a Django request")


def _full(request: Any, route: str | None) -> str | None:
    """The template of a route with the mount that the site is at; None for none."""
    if route is None:
        return None
    prefix = request.META.get("SCRIPT_NAME")
    return str(prefix.rstrip("/")) + template(route) if prefix else template(route)


async def _name_in_task(request: HttpRequest, *_: object) -> None:
    _name(request)


@guarded("logging a Django exception")
def _failed(request: HttpRequest | None = None, **_: object) -> None:
    """Django is about to make a 500 of the exception that is being handled."""
    exception = sys.exc_info()[1]
    span = getattr(request, _SPAN, None)
    quiet = getattr(request, _QUIET, None)
    if span is None and quiet is not None:
        middleware, began = quiet
        span = middleware._late(request, began)
    if span is not None and exception is not None:
        span.error(exception)
