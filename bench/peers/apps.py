"""The app whose requests are measured, once for each framework: one route with a parameter, a small JSON answer.

Frameworks are imported where they are needed: each process measures one, and one question is what importing costs.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

#: What is asked for, and the name that the endpoint has in each framework.
PATH = "/orders/7"
ENDPOINTS = {
    "flask": "/orders/<int:order>",
    "django": "/orders/<int:order>",
    "starlette": "/orders/{order:int}",
    "fastapi": "/orders/{order}",
}
WSGI = ("flask", "django")
_END = b'{"order": 7}'

#: Makes so many requests one after the other; the times that they took, ns.
Run = Callable[[int], list[int]]


@dataclass(frozen=True)
class Shape:
    """What the app is like.

    Attributes:
        routes: further ones, before the one that is asked for.
        chunks: of a streamed body; 0: the body is one piece, with its length.
        at_once: requests at any time, each on a thread or in a task of its own.
    """

    routes: int = 0
    chunks: int = 0
    at_once: int = 1


def flask(shape: Shape) -> Any:
    """A Flask app."""
    from flask import Flask, Response

    app = Flask("bench")

    def view() -> Any:
        return lambda order: Response(_pieces(shape.chunks)) if shape.chunks else {"order": order}

    for number in range(shape.routes):
        app.add_url_rule(f"/other{number}/<int:order>", f"other{number}", view())
    app.add_url_rule("/orders/<int:order>", "order", view())
    return app


def django(shape: Shape, middleware: tuple[str, ...] = ()) -> Any:
    """A Django site's WSGI app."""
    import django
    from django.conf import settings
    from django.http import JsonResponse, StreamingHttpResponse
    from django.urls import path

    def show(_: Any, order: int) -> Any:
        return StreamingHttpResponse(_pieces(shape.chunks)) if shape.chunks else JsonResponse({"order": order})

    urls: Any = type(sys)("bench_urls")
    urls.urlpatterns = [path(f"other{number}/<int:order>", show) for number in range(shape.routes)]
    urls.urlpatterns.append(path("orders/<int:order>", show))
    sys.modules["bench_urls"] = urls
    settings.configure(
        ROOT_URLCONF="bench_urls",
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=[*middleware, "django.middleware.common.CommonMiddleware"],
        LOGGING_CONFIG=None,
    )
    django.setup()
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def starlette(shape: Shape) -> Any:
    """A Starlette app."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Route

    def view() -> Any:
        async def show(request: Request) -> Any:
            order = request.path_params["order"]
            return StreamingResponse(_async_pieces(shape.chunks)) if shape.chunks else JSONResponse({"order": order})

        return show

    others = [Route(f"/other{number}/{{order:int}}", view()) for number in range(shape.routes)]
    return Starlette(routes=[*others, Route("/orders/{order:int}", view())])


def fastapi(shape: Shape) -> Any:
    """A FastAPI app."""
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    app = FastAPI()

    def view() -> Any:
        async def show(order: int):  # type: ignore[no-untyped-def] # FastAPI would make a model of it
            return StreamingResponse(_async_pieces(shape.chunks)) if shape.chunks else {"order": order}

        return show

    for number in range(shape.routes):
        app.get(f"/other{number}/{{order}}")(view())
    app.get("/orders/{order}")(view())
    return app


def _pieces(count: int) -> Iterator[bytes]:
    for _ in range(count - 1):
        yield b" "
    yield _END


async def _async_pieces(count: int) -> AsyncIterator[bytes]:
    for piece in _pieces(count):
        yield piece


def requests(framework: str, app: Any, at_once: int) -> Run:
    """Requests to the app, as a server makes them, so many at once."""
    if framework not in WSGI:
        return _asgi_requests(app, at_once)
    if at_once == 1:
        return lambda count: _wsgi_requests(app, count)
    return lambda count: _side_by_side(app, count, at_once)


def _side_by_side(app: Any, count: int, at_once: int) -> list[int]:
    times: list[int] = []
    threads = [
        threading.Thread(target=lambda: times.extend(_wsgi_requests(app, -(-count // at_once)))) for _ in range(at_once)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def _wsgi_requests(app: Any, count: int) -> list[int]:
    times = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], Any]:
        assert status == "200 OK", status
        return len

    for _ in range(count):
        environ = _environ()
        began = time.perf_counter_ns()
        body = app(environ, start_response)
        data = b"".join(body)
        close = getattr(body, "close", None)
        if close is not None:
            close()
        times.append(time.perf_counter_ns() - began)
        assert b"7" in data
    return times


def _asgi_requests(app: Any, at_once: int) -> Run:
    loop = asyncio.new_event_loop()

    gone = asyncio.Event()  # no client ever is

    async def one_by_one(count: int) -> list[int]:
        times = []
        for _ in range(count):
            sent: list[Any] = []
            asked: list[None] = []

            async def receive(asked: list[None] = asked) -> dict[str, Any]:
                if asked:
                    await gone.wait()
                asked.append(None)
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: Any, sent: list[Any] = sent) -> None:
                sent.append(message)

            scope = _scope()
            began = time.perf_counter_ns()
            await loop.create_task(app(scope, receive, send))
            times.append(time.perf_counter_ns() - began)
            assert sent[0]["status"] == 200, sent
        return times

    async def side_by_side(count: int) -> list[int]:
        found = await asyncio.gather(*(one_by_one(-(-count // at_once)) for _ in range(at_once)))
        return [time for times in found for time in times]

    loop.run_until_complete(_started(app))
    return lambda count: loop.run_until_complete(side_by_side(count))


async def _started(app: Any) -> None:
    """Start an ASGI app, as servers do before its first request."""
    over: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    complete = asyncio.Event()
    messages = iter([{"type": "lifespan.startup"}])

    async def receive() -> dict[str, Any]:
        return next(messages, None) or await over

    async def send(message: dict[str, Any]) -> None:
        assert message["type"] == "lifespan.startup.complete", message
        complete.set()

    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    _LIFESPANS.append(asyncio.ensure_future(app(scope, receive, send)))
    await complete.wait()


#: Of the apps that were started: they last as long as the process.
_LIFESPANS: list[asyncio.Future[Any]] = []


class _Nothing:
    """A request's body."""

    def read(self, _: int = -1) -> bytes:
        return b""

    readline = read


_NOTHING = _Nothing()


def _environ() -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": PATH,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_ACCEPT": "*/*",
        "HTTP_USER_AGENT": "bench",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": _NOTHING,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"accept", b"*/*"), (b"user-agent", b"bench")],
        "state": {},
    }
