"""A Flask app with both agents, the official one and ours, in the order of the words given; serves until stdin ends."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Callable

import flask

app = flask.Flask("both")


@app.route("/cart")
def cart() -> str:
    """Works for a while, longer than the official agent needs to take its first snapshot."""
    end = time.monotonic() + 0.15
    while time.monotonic() < end:
        sum(range(300))
    return "served"


def ours() -> None:
    """Put our middleware in, and let it begin with a request."""
    from swprof_mw import stats
    from swprof_mw.flask import SWProfiler

    app.wsgi_app = SWProfiler(app, service_name="ours")  # type: ignore[method-assign]
    assert app.test_client().get("/cart").text == "served"
    while not stats().segments.sent:
        time.sleep(0.01)


def official() -> None:
    """Start the official agent."""
    agent, config = (importlib.import_module(f"skywalking.{name}") for name in ("agent", "config"))
    config.init(
        agent_name="official",
        agent_collector_backend_services=os.environ["SW_AGENT_COLLECTOR_BACKEND_SERVICES"],
        agent_meter_reporter_active=False,
        agent_log_reporter_active=False,
    )
    agent.start()


def main() -> None:
    """Start both, then serve."""
    ended = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        ended.set()

    starts: dict[str, Callable[[], None]] = {"ours": ours, "official": official}
    for word in sys.argv[1:]:
        starts[word]()
    threading.Thread(target=listen, daemon=True).start()
    client = app.test_client()
    while not ended.is_set():
        assert client.get("/cart").text == "served"
    print("ended well")


if __name__ == "__main__":
    main()
