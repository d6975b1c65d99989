"""Starlette."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from swprof_mw.asgi import SWProfilerMiddleware
from tests.process_apps import work


def index(request: Request) -> PlainTextResponse:
    """The front page."""
    return PlainTextResponse(work.answer())


def worked(request: Request) -> PlainTextResponse:
    """The profiled endpoint."""
    return PlainTextResponse(work.work())


def split(request: Request) -> PlainTextResponse:
    """Another process."""
    return PlainTextResponse(work.split(request.path_params["how"]))


app = Starlette(
    routes=[Route("/", index), Route("/work", worked), Route("/split/{how}", split)],
    middleware=[Middleware(SWProfilerMiddleware, service_name="shop")],
)
