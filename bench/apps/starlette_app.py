"""Starlette: a ``def`` and an ``async def`` endpoint of each kind."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.apps import work
from swprof_mw.asgi import SWProfilerMiddleware


def asked(request: Request) -> work.Order:
    """What this request asks for."""
    return work.order(request.query_params.get("burst"), request.query_params.get("total"))


def own_sync(request: Request) -> JSONResponse:
    """The profiled one, on a worker thread."""
    return JSONResponse(work.own_work(asked(request)))


async def own_async(request: Request) -> JSONResponse:
    """The profiled one."""
    return JSONResponse(await work.own_work_async(asked(request)))


def other_sync(request: Request) -> JSONResponse:
    """One beside it, on a worker thread."""
    return JSONResponse(work.other_work(asked(request)))


async def other_async(request: Request) -> JSONResponse:
    """One beside it."""
    return JSONResponse(await work.other_work_async(asked(request)))


app = Starlette(
    routes=[
        Route("/own/sync", own_sync),
        Route("/own/async", own_async),
        Route("/other/sync", other_sync),
        Route("/other/async", other_async),
    ]
)
app.add_middleware(SWProfilerMiddleware)
