"""ASGI apps in several styles, each below a path, and as a service, of its name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from a2wsgi import WSGIMiddleware
from fastapi import FastAPI, Request
from flask import Flask
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.flask import SWProfiler
from tests.style_apps import site
from tests.style_apps.work import Work, asked

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.middleware.wsgi import WSGIMiddleware as StarletteWSGIMiddleware


def work(connection: Request | WebSocket) -> Work:
    """What this request asks for."""
    return asked(connection.url.path, connection.url.query)


async def websocket(socket: WebSocket) -> None:
    """Sends chunk after chunk, and waits for an answer to each."""
    await socket.accept()
    asked_for = work(socket)
    async for chunk in asked_for.chunks_async():
        await socket.send_bytes(chunk)
        await asked_for.hears(socket.receive_bytes())
    await socket.close()


async def stream(request: Request) -> StreamingResponse:
    """A body made by a generator, on worker threads."""
    return StreamingResponse(work(request).chunks())


async def stream_async(request: Request) -> StreamingResponse:
    """A body made by an asynchronous generator."""
    return StreamingResponse(work(request).chunks_async())


def fastapi_app() -> FastAPI:
    """With a ``def`` and an ``async def`` endpoint."""
    app = FastAPI()

    @app.get("/sync/{end}")
    def view(request: Request) -> PlainTextResponse:
        return PlainTextResponse(work(request).whole())

    @app.get("/async/{end}")
    async def view_async(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await work(request).whole_async())

    return app


def flask_app() -> Any:
    """With a view, and one whose body is streamed."""
    app = Flask("inner")

    @app.get("/sync/<end>")
    def view(end: str) -> bytes:
        return asked(flask_request.path, flask_request.query_string).whole()

    @app.get("/stream/<end>")
    def stream(end: str) -> Any:
        return app.response_class(asked(flask_request.path, flask_request.query_string).chunks())

    return app


def in_both(app: Any) -> Any:
    """With our middleware of its own."""
    if isinstance(app, FastAPI):
        app.add_middleware(SWProfilerMiddleware, service_name="inner")
    else:
        app.wsgi_app = SWProfiler(app, service_name="inner")
    return app


_MOUNTED: dict[str, Any] = {
    "fastapi": fastapi_app(),
    "fastapi-both": in_both(fastapi_app()),
    "django": site.bare_asgi,
    "django-both": site.asgi,
    "a2wsgi": WSGIMiddleware(flask_app()),
    "a2wsgi-both": WSGIMiddleware(in_both(flask_app())),
    "starlette-wsgi": StarletteWSGIMiddleware(flask_app()),
    "starlette-wsgi-both": StarletteWSGIMiddleware(in_both(flask_app())),
}
_ROUTES: dict[str, Callable[[str], Any]] = {
    "websocket": lambda path: WebSocketRoute(path, websocket),
    "websocket-analysed": lambda path: WebSocketRoute(path, websocket),
    "stream": lambda path: Route(path, stream),
    "stream-async": lambda path: Route(path, stream_async),
}


def served(name: str, route: Any) -> Any:
    """A Starlette app with our middleware outermost."""
    app = Starlette(routes=[route])
    app.add_middleware(SWProfilerMiddleware, service_name=name, long_lived_analysis=name.endswith("analysed"))
    return app


_APPS = {
    **{name: served(name, route(f"/{name}/{{end}}")) for name, route in _ROUTES.items()},
    **{name: served(name, Mount(f"/{name}", mounted)) for name, mounted in _MOUNTED.items()},
    "django-stream-async": site.asgi,
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """All of them. There is no lifespan."""
    assert scope["type"] != "lifespan"
    await _APPS[scope["path"].split("/")[1]](scope, receive, send)
