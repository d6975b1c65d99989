"""The recipes of docs/tracing.md: who is called goes on with the trace of the request that calls."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from swprof_mw.application import Application
from swprof_mw.wsgi import SWProfilerMiddleware
from tests import snippets
from tests.recorded import Recorded
from tests.waiting import eventually

RECIPES = snippets.of_page("tracing.md")


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def bank() -> Iterator[str]:
    """A traced service that is called: its address."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"paid"]

    with make_server("127.0.0.1", 0, SWProfilerMiddleware(app, service_name="bank"), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def call(recipe: dict[str, Any], url: str) -> str:
    """What the recipe's client, or its function, is answered."""
    client = recipe.get("client")
    if client is None:
        return str(asyncio.run(recipe["get"](url)))
    if inspect.iscoroutinefunction(client.get):

        async def get() -> str:
            async with client:
                return str((await client.get(url)).text)

        return asyncio.run(get())
    with client:
        return str(client.get(url).text)


@pytest.mark.parametrize("number", range(len(RECIPES)), ids=lambda number: f"{RECIPES[number].heading}-{number}")
def test_a_call_goes_on_with_the_trace(recorded: Recorded, number: int) -> None:
    recipe: dict[str, Any] = {}
    exec(compile(RECIPES[number].code, "tracing.md", "exec"), recipe)
    shop = Application(7001, {"service_name": "shop"})
    with bank() as address:
        span = shop.begin("GET", "/checkout")
        assert span is not None
        span.route("/checkout")
        token: Any = span.activate()
        assert call(recipe, f"http://{address}/pay") == "paid"
        span.deactivate(token)
        span.end(200)
        eventually(lambda: len(recorded.segments) == 2, "both are reported")
    called, caller = sorted(recorded.segments, key=lambda segment: segment.service)
    assert (called.service, caller.service) == ("bank", "shop")
    assert called.trace_id == caller.trace_id
    assert called.reference is not None
    assert called.reference.segment_id == caller.segment_id
    assert (called.reference.endpoint, called.reference.address) == ("/checkout", address)


@pytest.mark.parametrize("number", range(len(RECIPES)), ids=lambda number: f"{RECIPES[number].heading}-{number}")
def test_outside_of_a_request_there_is_no_header(recorded: Recorded, number: int) -> None:
    recipe: dict[str, Any] = {}
    exec(compile(RECIPES[number].code, "tracing.md", "exec"), recipe)
    with bank() as address:
        assert call(recipe, f"http://{address}/pay") == "paid"
    [called] = recorded.segments
    assert called.reference is None
