"""Asks the app that ``app.py`` makes, or a Django site's ``settings.py``, here; prints what is reported."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from swprof_mw import agent
from swprof_mw.reporter.reporter import Reporter
from tests import asgi_driver
from tests.recipes import shop
from tests.recorded import Recorded
from tests.wsgi_client import ask

Ask = Callable[[str], int]


def loaded(server: str) -> Any:
    """The app, as a server would load it."""
    sys.path.insert(0, os.getcwd())
    sys.modules["shop"] = shop
    if os.path.exists("settings.py"):
        os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
        from django.core.asgi import get_asgi_application
        from django.core.wsgi import get_wsgi_application

        return get_asgi_application() if server == "asgi" else get_wsgi_application()
    return importlib.import_module("app").app


def by_wsgi(app: Any) -> Ask:
    """What asks it: the status."""
    return lambda path: int(ask(app, path).status[:3])


def by_asgi(app: Any) -> Ask:
    """What asks it: the status."""
    return lambda path: asgi_driver.call(app, asgi_driver.http(path)).status


def asked(ask: Ask, recorded: Recorded, path: str) -> dict[str, object]:
    """What a request of this path is answered with, and reported as."""
    status = None
    with contextlib.suppress(ValueError):  # what the app left unhandled goes on to the server
        status = ask(path)
    segment = recorded.last
    return {
        "status": status,
        "reported": dict(segment.tags)["http.status_code"],
        "name": segment.operation,
        "service": segment.service,
        "error": segment.is_error,
        "component": segment.component,
    }


def main(server: str) -> None:
    """Ask for an order, one that fails, a page that there is not, and one that is slow enough to be sampled."""
    logging.disable(logging.CRITICAL)
    Reporter.start = lambda self: None  # type: ignore[method-assign]
    recorded = Recorded()
    ask = (by_asgi if server == "asgi" else by_wsgi)(loaded(server))
    paths = [f"/orders/{shop.ORDER}", f"/orders/{shop.FAILS}", "/wp-admin"]
    found = {path: asked(ask, recorded, path) for path in paths}
    recorded.profile(str(found[paths[0]]["name"]))
    slow = asked(ask, recorded, f"/orders/{shop.SLOW}")
    stacks = [snapshot.stack for snapshot in recorded.snapshots]
    print(json.dumps({"found": found, "slow": slow, "stacks": stacks, "requests": len(recorded.segments)}))
    agent.shut_down()


if __name__ == "__main__":
    main(sys.argv[1])
