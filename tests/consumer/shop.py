"""A project that uses every public name as its author would; a strict type checker has nothing to say of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

import falcon
import falcon.asgi
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar
from quart import Quart
from starlette.applications import Starlette
from starlette.middleware import Middleware

import swprof_mw
from swprof_mw import wsgi
from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.django import SWProfilerMiddleware as DjangoMiddleware
from swprof_mw.flask import SWProfiler
from swprof_mw.settings import Settings

MIDDLEWARE = [f"{DjangoMiddleware.__module__}.{DjangoMiddleware.__name__}"]
SWPROF: Settings = {"service_name": "shop", "profile_max_cpu": 2.5, "ignore_methods": ["OPTIONS", "HEAD"]}

flask_app = Flask("shop")
flask_app.wsgi_app = SWProfiler(  # type: ignore[method-assign]  # Flask's own words for middleware
    flask_app,
    enabled=True,
    service_name="shop",
    instance_name="shop-1",
    namespace="test",
    backend_services=["oap-1:11800", "oap-2:11800"],
    authentication="token",
    force_tls=False,
    tls_ca=Path("ca.pem"),
    tls_cert="our.pem",
    tls_key="our.key",
    transport="auto",
    heartbeat_period=30,
    instance_properties={"zone": "b", "weight": 2, "canary": False},
    profile_active=True,
    profile_task_query_interval=20.0,
    profile_max_parallel=5,
    profile_duration=10,
    profile_dump_max_stack_depth=500,
    profile_snapshot_transport_buffer_size=4500,
    profile_switch_interval=0.5,
    trace_reporter_max_buffer_size=10_000,
    profile_max_cpu=5,
    profile_mark_waiting=True,
    trace_report="profiled",
    long_lived_analysis=False,
    url_tag="route",
    exception_messages=False,
    sample_n_per_3_secs=0,
    trace_ignore_path="/health,/static/**",
    ignore_methods={"OPTIONS"},
    endpoint_format="{method}:{route}",
    code_signature="full",
)
SWProfiler(**SWPROF).init_app(Flask("later"))

starlette_app = Starlette()
starlette_app.add_middleware(SWProfilerMiddleware)
starlette_app.add_middleware(SWProfilerMiddleware, service_name="shop", profile_active=True)
FastAPI().add_middleware(SWProfilerMiddleware, url_tag="off")
Starlette(middleware=[Middleware(SWProfilerMiddleware, service_name="shop")])


async def plain(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """An ASGI app of no framework."""
    swprof_mw.set_endpoint("/plain/{name}")
    header: str | None = swprof_mw.sw8("stock:8080")
    trace: str = swprof_mw.trace_id()
    logging.info("%s %s", trace, header)


def old(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """A WSGI app of no framework."""
    swprof_mw.set_endpoint(None)
    return [swprof_mw.trace_id().encode()]


wrapped = [
    SWProfilerMiddleware(plain, **SWPROF),
    SWProfilerMiddleware(starlette_app, service_name="shop"),
    SWProfilerMiddleware(Litestar([]), service_name="shop"),
    SWProfilerMiddleware(Quart("shop").asgi_app, service_name="shop"),
    SWProfilerMiddleware(falcon.asgi.App(), service_name="shop"),
    wsgi.SWProfilerMiddleware(old, **SWPROF),
    wsgi.SWProfilerMiddleware(flask_app, service_name="shop"),
    wsgi.SWProfilerMiddleware(falcon.App(), service_name="shop"),
]


def told() -> tuple[str, int, float | None]:
    """What this process says of itself."""
    stats: swprof_mw.Stats = swprof_mw.stats()
    return swprof_mw.__version__, stats.segments.sent, len(stats.tasks)
