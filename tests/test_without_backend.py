"""The example apps where nobody listens for what they report: they answer as they do without us."""

from __future__ import annotations

import json

import pytest

from tests import servers
from tests.examples import DIRECTORY, EXAMPLES, Example
from tests.load import get
from tests.oap.server import free_ports
from tests.waiting import eventually

pytestmark = pytest.mark.slow

#: A header that is no header, a path that is no UTF-8, and one that no route matches.
PATHS = ("/", "/health", "/orders/7", "/orders/x", "/nowhere/%ff%fe")
HEADERS = {"sw8": "1-not-a-header"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.service)
def test_an_app_without_backend_answers_as_without_us(example: Example) -> None:
    assert answers(example, SWPROF_ENABLED="on") == answers(example, SWPROF_ENABLED="off")


def answers(example: Example, **settings: str) -> list[tuple[int, object]]:
    """Status and body of each path; the times that an order tells are left out. One line in the log is the most."""
    [port] = free_ports(0)
    environment = {"SW_AGENT_COLLECTOR_BACKEND_SERVICES": f"127.0.0.1:{port}", **settings}
    with servers.start(example.server, example.target, environment, DIRECTORY) as server:
        found = [get(server.url + path, HEADERS) for path in PATHS]
        if settings["SWPROF_ENABLED"] == "on":
            eventually(lambda: "does not answer" in server.output(), "the outage is logged")
        output = server.output()
    assert output.count("does not answer") == (settings["SWPROF_ENABLED"] == "on")
    assert "Traceback" not in output
    return [(status, _plain(body)) for status, _, body in found]


def _plain(body: bytes) -> object:
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    answer.pop("seconds", None)
    return answer
