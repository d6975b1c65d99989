"""What type checkers know of the package in somebody else's project: what is right passes, what is wrong is told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.installed import pyright

#: Lines with a comment are wrong.
CONSUMER = """
from collections.abc import Iterable
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
from swprof_mw import asgi, wsgi
from swprof_mw.django import SWProfilerMiddleware
from swprof_mw.flask import SWProfiler

starlette, fastapi, flask = Starlette(), FastAPI(), Flask(__name__)

starlette.add_middleware(asgi.SWProfilerMiddleware)
starlette.add_middleware(asgi.SWProfilerMiddleware, service_name="x", backend_services=["a:1"], force_tls=True)
starlette.add_middleware(asgi.SWProfilerMiddleware, service_nam="x")  # no such setting
starlette.add_middleware(asgi.SWProfilerMiddleware, service_name=7)  # of another type
fastapi.add_middleware(asgi.SWProfilerMiddleware, url_tag="off")
fastapi.add_middleware(asgi.SWProfilerMiddleware, url_tag="none")  # no such choice
Middleware(asgi.SWProfilerMiddleware, service_name="x")
Middleware(asgi.SWProfilerMiddleware, service_nam="x")  # no such setting

asgi.SWProfilerMiddleware(starlette, service_name="x")
asgi.SWProfilerMiddleware(Litestar([]), service_name="x")
asgi.SWProfilerMiddleware(Quart("x").asgi_app, service_name="x")
asgi.SWProfilerMiddleware(falcon.asgi.App(), service_name="x")
asgi.SWProfilerMiddleware(starlette, service_nam="x")  # no such setting

SWProfiler(flask, service_name="x").init_app(flask)
SWProfiler(service_name=None, ignore_methods={"HEAD"})
SWProfiler(flask, service_nam="x")  # no such setting


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    swprof_mw.set_endpoint(None)
    swprof_mw.set_endpoint(7)  # of another type
    swprof_mw.trace_id().upper()
    swprof_mw.sw8("a:1").upper()  # may be None
    swprof_mw.stats().segments.queued.bit_length()
    swprof_mw.nothing()  # no such name
    return [b""]


wsgi.SWProfilerMiddleware(app, service_name="x")
wsgi.SWProfilerMiddleware(flask, service_name="x")
wsgi.SWProfilerMiddleware(falcon.App(), service_name="x")
wsgi.SWProfilerMiddleware(app, service_nam="x")  # no such setting
wsgi.SWProfilerMiddleware(7)  # no app
"""
WRONG = {number for number, line in enumerate(CONSUMER.splitlines(), 1) if "  # " in line}


@pytest.fixture
def consumer(tmp_path: Path) -> Path:
    """A file that uses the package."""
    path = tmp_path / "consumer.py"
    path.write_text(CONSUMER)
    return path


def output(*command: str | Path, cwd: Path) -> str:
    """What it prints, whatever it thinks of it."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=100).stdout


def test_mypy_tells_what_is_wrong(consumer: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", consumer.name]
    told = output(*command, cwd=consumer.parent)
    assert {int(number) for number in re.findall(r"^consumer\.py:(\d+): error", told, re.MULTILINE)} == WRONG, told


@pytest.mark.tools
@pytest.mark.timeout(700)
def test_pyright_tells_what_is_wrong(consumer: Path) -> None:
    options = ("--outputjson", "--pythonpath", sys.executable)
    told = json.loads(output("node", pyright(), *options, consumer.name, cwd=consumer.parent))["generalDiagnostics"]
    assert {one["range"]["start"]["line"] + 1 for one in told if one["severity"] == "error"} == WRONG, told
