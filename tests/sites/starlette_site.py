"""A Starlette site and a FastAPI one: views of each kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from tests.sites.common import LAST, Failure, chunks, file, private, visit


async def index(request: Request) -> Response:
    """What came in."""
    body = (await request.body()).decode("latin-1")
    told = [request.method, request.url.path, request.url.query, dict(request.cookies), request.headers.get("x-any")]
    return JSONResponse([told, body])


async def item(request: Request) -> Response:
    """A parameter, cookies, a header twice."""
    answer = PlainTextResponse(f"{request.path_params} after {visit(request.url.path)}")
    answer.set_cookie("seen", str(request.path_params["x"]))
    answer.headers.append("X-Twice", "one")
    answer.headers.append("X-Twice", "two")
    return answer


def on_a_worker(request: Request) -> Response:
    """A view that is no coroutine function."""
    return PlainTextResponse(f"{request.path_params} after {LAST.get()}")


async def stop(request: Request) -> Response:
    """An error that the framework answers for."""
    raise HTTPException(int(request.path_params["code"]), "stopped")


async def fail(request: Request) -> Response:
    """An error that nobody answers for."""
    raise Failure(request.url.path)


async def away(request: Request) -> Response:
    """Somewhere else."""
    return RedirectResponse("/items/7/x", 303)


async def secret(request: Request) -> Response:
    """A view with secrets."""
    given = {"query": request.url.query, "body": (await request.body()).decode(), **request.cookies}
    return PlainTextResponse(private({**given, **request.headers, **request.path_params}))


async def slowly(count: int, fails: bool) -> AsyncIterator[bytes]:
    """Chunks with a pause before each."""
    for chunk in chunks(count, fails):
        await asyncio.sleep(0)
        yield chunk


async def stream(request: Request) -> Response:
    """Chunks, and work when they are sent."""
    task = BackgroundTask(LAST.set, "in the background")
    return StreamingResponse(slowly(int(request.path_params["count"]), fails=False), background=task)


def stream_on_a_worker(request: Request) -> Response:
    """Chunks that a worker makes."""
    return StreamingResponse(chunks(int(request.path_params["count"])))


async def broken(request: Request) -> Response:
    """A stream that breaks."""
    return StreamingResponse(slowly(int(request.path_params["count"]), fails=True))


async def whole(request: Request) -> Response:
    """A file."""
    return FileResponse(file())


async def talk(socket: WebSocket) -> None:
    """Says what it hears, up to "stop"."""
    await socket.accept()
    while (heard := await socket.receive_text()) != "stop":
        await socket.send_text(heard)
    await socket.close(4000)


async def refuse(socket: WebSocket) -> None:
    """Lets nobody in."""
    await socket.send_denial_response(PlainTextResponse("no", status_code=401))


def make_site() -> Starlette:
    """The site, without us."""
    return Starlette(
        routes=[
            Route("/", index, methods=["GET", "POST", "PUT", "DELETE"]),
            Route("/items/{x:int}/{rest:path}", item),
            Route("/worker/{x}", on_a_worker),
            Route("/abort/{code:int}", stop),
            Route("/fail", fail),
            Route("/private/{word}", secret, methods=["POST"]),
            Route("/away/", away),
            Route("/stream/{count:int}", stream),
            Route("/stream-worker/{count:int}", stream_on_a_worker),
            Route("/broken/{count:int}", broken),
            Route("/file", whole),
            Mount("/part/{word}", routes=[Route("/here", on_a_worker)]),
            Mount("/static", StaticFiles(directory=file().parent)),
            WebSocketRoute("/talk", talk),
            WebSocketRoute("/refuse", refuse),
        ]
    )


def make_api() -> FastAPI:
    """A FastAPI site, without us; with the other one mounted."""
    api = FastAPI()

    @api.get("/items/{x}")
    async def read(x: int, q: str = "none") -> Any:
        return {"x": x, "q": q, "after": visit("/items")}

    @api.post("/items")
    def write(content: dict[str, Any]) -> Any:
        return content

    api.mount("/more", make_site())
    return api
