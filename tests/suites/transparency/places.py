"""Where the wrappers are put: by each framework, and by the way in which people do it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .ledger import SETTINGS, Ledger
from .wrappers import empty_asgi, lengthened_asgi, lengthened_wsgi, watched_asgi, watched_wsgi


def into_flask(ledger: Ledger, wrap: str) -> None:
    """Put the wrapper around each Flask app as it is made."""
    from flask import Flask

    from swprof_mw.flask import SWProfiler

    def wrapped(app: Flask) -> None:
        app.wsgi_app = lengthened_wsgi(app.wsgi_app, ledger)  # type: ignore[method-assign]
        if wrap == "swprof":
            app.wsgi_app = SWProfiler(app, **SETTINGS)  # type: ignore[method-assign]
        app.wsgi_app = watched_wsgi(app.wsgi_app, ledger)  # type: ignore[method-assign]

    after_making(Flask, wrapped)


def into_starlette(ledger: Ledger, wrap: str) -> None:
    """Put the wrapper around each app that a test client is made for, whatever kind of app it is."""
    from starlette.testclient import TestClient

    def wrapped(client: TestClient) -> None:
        app = asgi_wrapper(wrap)(lengthened_asgi(client.app, ledger))
        client.app = client._transport.app = watched_asgi(app, ledger)

    after_making(TestClient, wrapped)


def into_starlette_inside(ledger: Ledger, wrap: str) -> None:
    """Put the wrapper into each Starlette app, mounted ones too, as the first of its own middleware; else around it."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.testclient import TestClient

    def added(app: Starlette) -> None:
        app.user_middleware[:0] = [Middleware(asgi_wrapper(wrap)), Middleware(lengthened_asgi, ledger=ledger)]

    def wrapped(client: TestClient) -> None:
        app: Any = client.app
        if not isinstance(app, Starlette):
            app = asgi_wrapper(wrap)(lengthened_asgi(app, ledger))
        client.app = client._transport.app = watched_asgi(app, ledger)

    after_making(Starlette, added)
    after_making(TestClient, wrapped)


def asgi_wrapper(wrap: str) -> Callable[[Any], Any]:
    """What makes the middleware for an app."""
    from swprof_mw.asgi import SWProfilerMiddleware

    return functools.partial(SWProfilerMiddleware, **SETTINGS) if wrap == "swprof" else empty_asgi


def after_making(kind: Any, then: Callable[[Any], None]) -> None:
    """Let ``then`` be called with each object of that kind, once it is made."""
    made = kind.__init__

    @functools.wraps(made)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        then(self)

    kind.__init__ = init


PLACES = {"flask": into_flask, "starlette": into_starlette, "starlette-inside": into_starlette_inside}
