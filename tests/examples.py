"""The three example apps under their servers, and what a profile of each has to show."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swprof_mw.query.client import OapClient
from tests import servers
from tests.load import get
from tests.waiting import endpoints_listed

DIRECTORY = Path(__file__).resolve().parent.parent / "examples"

#: The parts of an order, which the examples time themselves.
PARTS = ("compute_prices", "query_stock", "wait_for_payment")


@dataclass(frozen=True)
class Example:
    """One example app: the server it runs under, and the names it is known by."""

    server: str
    target: str
    service: str
    endpoint: str


EXAMPLES = (
    Example("waitress", "flask_app:app", "shop-flask", "/orders/<int:order_id>"),
    Example("gunicorn-sync", "django_app:application", "shop-django", "/orders/<int:order_id>"),
    Example("uvicorn", "fastapi_app:app", "shop-fastapi", "/orders/{order_id}"),
)


@contextmanager
def running(example: Example, backend: str, interval: float = 0.5) -> Iterator[servers.Server]:
    """The example, reporting to the agents' port ``backend`` and asking it for tasks every so many seconds."""
    environment = {
        "SW_AGENT_COLLECTOR_BACKEND_SERVICES": backend,
        "SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL": f"{interval:g}",
    }
    with servers.start(example.server, example.target, environment, DIRECTORY) as server:
        yield server


def show_endpoints(example: Example, server: servers.Server, client: OapClient) -> None:
    """Visit every page until the backend lists them all: what a person picks from."""
    for path in ("/", "/health", "/orders/1"):
        assert get(server.url + path)[0] == 200, path
    endpoints_listed(client, example.service, "/", "/health", example.endpoint)


class Orders:
    """Somebody who orders again and again, one after the other: what each answer says of its own time is kept.

    Args:
        server: of the example.
        pause: seconds between two orders.
    """

    def __init__(self, server: servers.Server, pause: float = 0.0) -> None:
        self.answers: dict[str, dict[str, float]] = {}
        self._pause = pause
        self._url = server.url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._order, daemon=True)

    def _order(self) -> None:
        number = 100
        while not self._stop.wait(self._pause):
            number += 1
            path = f"/orders/{number}"
            status, _, body = get(self._url + path)
            assert status == 200, body
            self.answers[path] = json.loads(body)["seconds"]

    def __enter__(self) -> Orders:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
