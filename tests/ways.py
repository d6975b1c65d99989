"""The README's ways to use the package, each with the little app that a reader would put the lines into."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()
#: What an app may have beside us. An environment has of it what its framework needs, and no more.
OPTIONAL = (
    *("anyio", "asgiref", "blinker", "django", "flask", "gevent", "google.protobuf", "graphql", "greenlet"),
    *("grpc", "starlette", "uvicorn", "uvloop"),
)
WORK = """
import time

def work():
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        sum(range(500))
"""


@dataclass(frozen=True)
class Way:
    """One way to use the package.

    Attributes:
        lines: of the README, by the comment that they begin with.
        app: the module ``shop`` around those ``{lines}``; `WORK` comes before.
        command: what serves it on a ``{port}``.
        endpoint: what it is profiled as.
        extra: of ours.
        more: what else is installed.
        has: all of `OPTIONAL` that there is then.
    """

    lines: str
    app: str
    command: str
    endpoint: str
    extra: str
    more: tuple[str, ...] = ()
    has: tuple[str, ...] = ()

    def module(self) -> str:
        """The app, with the README's lines in it."""
        found = re.search(rf"```python\n# {self.lines}[^\n]*\n(.*?)```", README, re.DOTALL)
        assert found, f"the README has no lines for {self.lines}"
        lines = found[1].replace(", ...]", "]")
        if self.app is PLAIN:  # it has no such method: the same line tells what is meant then
            lines = re.sub(r"app\.add_middleware.*# or (app = .*)", r"\1", lines)
        return WORK + self.app.format(lines=lines)


FLASK = """
from flask import Flask

app = Flask("a shop")
{lines}

@app.route("/orders/<int:number>")
def order(number):
    work()
    return "done"
"""
DJANGO = """
from django.http import HttpResponse
from django.urls import path

SECRET_KEY, ROOT_URLCONF, ALLOWED_HOSTS = "test", "shop", ["*"]
{lines}

def order(request, number):
    work()
    return HttpResponse("done")

urlpatterns = [path("orders/<int:number>", order)]
"""
FASTAPI = """
from fastapi import FastAPI

app = FastAPI()
{lines}

@app.get("/orders/{{number}}")
def order(number: int) -> str:
    work()
    return "done"
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def order(request):
    work()
    return PlainTextResponse("done")

app = Starlette(routes=[Route("/orders/{{number}}", order)])
{lines}
"""
PLAIN = """
import swprof_mw

async def app(scope, receive, send):
    if scope["type"] == "http":
        swprof_mw.set_endpoint("/orders/{{number}}")
        work()
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": b"done"}})

{lines}
"""
WSGI = """
import sys
from wsgiref.simple_server import make_server

import swprof_mw

def app(environ, start_response):
    swprof_mw.set_endpoint("/orders/{{number}}")
    work()
    start_response("200 OK", [])
    return [b"done"]

{lines}

if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""
FLASK_RUN = "flask --app shop run --port {port}"
UVICORN = "uvicorn --port {port} shop:app"
WAYS = {
    "flask": Way("Flask", FLASK, FLASK_RUN, "/orders/<int:number>", "flask", has=("blinker", "flask")),
    "flask-without-blinker": Way(
        "Flask", FLASK, FLASK_RUN, "/orders/<int:number>", "", more=("flask==2.2.5", "werkzeug<2.3"), has=("flask",)
    ),
    "django": Way(
        *("Django", DJANGO, "django runserver --noreload --settings shop {port}", "/orders/<int:number>", "django"),
        has=("asgiref", "django"),
    ),
    "fastapi": Way(
        *("FastAPI", FASTAPI, UVICORN, "/orders/{number}", "asgi"),
        more=("fastapi", "uvicorn"),
        has=("anyio", "starlette", "uvicorn"),
    ),
    "starlette": Way(
        *("FastAPI", STARLETTE, UVICORN, "/orders/{number}", "asgi"),
        more=("uvicorn",),
        has=("anyio", "starlette", "uvicorn"),
    ),
    "asgi": Way("FastAPI", PLAIN, UVICORN, "/orders/{number}", "", more=("uvicorn",), has=("uvicorn",)),
    "wsgi": Way("any WSGI app", WSGI, "shop {port}", "/orders/{number}", ""),
}
