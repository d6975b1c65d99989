"""The recipes of docs/deployment.md: each server, by each of its commands, with an app that is profiled there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from swprof_mw.collector.server import Collector
from swprof_mw.query.client import OapClient
from tests import servers, snippets
from tests.docs import start, trees
from tests.docs.commands import typed
from tests.docs.programs import SERVERS
from tests.docs.session import Session
from tests.waiting import endpoints_listed, eventually

PAGE = "deployment.md"
ORDERS = "while sleep 0.2; do curl -s http://127.0.0.1:8000/orders/7; done"


class Recipe(NamedTuple):
    """One command.

    Attributes:
        line: what is typed.
        file: the name and the text of the file that stands right before it, if one does.
    """

    line: str
    file: tuple[str, str] | None

    @property
    def app(self) -> tuple[str, str]:
        """Whose app it serves: the page, and the endpoint."""
        is_asgi = start.program(self.line) in ("uvicorn", "hypercorn", "daphne")
        if is_asgi or "asgi" in self.line or "Uvicorn" in self.line:
            return "start/fastapi.md", "/orders/{order_id}"
        return "start/flask.md", "/orders/<int:order_id>"


def recipes() -> Iterator[Recipe]:
    """All commands of servers, and those that check before."""
    before = None
    for snippet in snippets.of(snippets.DOCS / PAGE):
        if snippet.language == "console":
            for line in typed(snippet.code):
                if start.program(line) in {*SERVERS, "swprof"}:
                    yield Recipe(line, before)
        before = (snippet.file, snippet.code) if snippet.file else None


def check(recipe: Recipe, directory: Path) -> None:
    """Run it: of a server, that the app is profiled under it."""
    page, endpoint = recipe.app
    is_uwsgi = start.program(recipe.line) == "uwsgi"
    programs = [Path(servers.interpreter("uwsgi")).parent] if is_uwsgi else []
    with Collector(grpc_port=0, http_port=0) as collector, Session(directory, ports(collector), programs) as here:
        (directory / "shop.py").write_text(snippets.of_page(page)[0].code)
        if recipe.file:
            (directory / recipe.file[0]).write_text(here.here(recipe.file[1]))
        printed = start.step(here, recipe.line)
        if start.program(recipe.line) in SERVERS:
            here.keep_running(ORDERS)
            check_profile(OapClient(collector.url), endpoint)
        else:
            assert printed.endswith("nothing is wrong\n"), printed


def ports(collector: Collector) -> tuple[int, int]:
    """Of agents, and of queries."""
    agents, queries = (urlsplit(f"//{at.rpartition('/')[2]}").port for at in (collector.backend, collector.url))
    assert agents
    assert queries
    return agents, queries


def check_profile(client: OapClient, endpoint: str) -> None:
    """Requests of the app are profiled, and show its functions."""
    endpoints_listed(client, "shop", endpoint)
    task = client.create_task("shop", endpoint, samples=9)
    eventually(lambda: functions(client, task) >= {"compute_price", "wait_for_payment"}, "both functions are seen")


def functions(client: OapClient, task: str) -> set[str]:
    """What the profiled requests of a task are seen in."""
    spans = [request.entry for request in client.segments(task) if request.entry]
    found = [client.analyze(span.segment_id, span.start, span.end)[1] for span in spans]
    texts = [element.code_signature for of_span in found for tree in of_span for element in tree]
    return {frame.function for frame in map(trees.frame, texts) if frame}
