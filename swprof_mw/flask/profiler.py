"""The WSGI middleware of a Flask app."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from flask import Flask
from werkzeug.exceptions import HTTPException

from swprof_mw.application import Application
from swprof_mw.config import Config
from swprof_mw.failures import guarded
from swprof_mw.flask.hooks import connect, route_now, route_of, starts
from swprof_mw.log import fields
from swprof_mw.span import EntrySpan
from swprof_mw.wsgi.entry import WSGIEntry

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from typing_extensions import Self, Unpack

    from swprof_mw.settings import Settings

logger = logging.getLogger("swprof_mw")

#: SkyWalking's id of Flask.
COMPONENT = 7001
#: Where ``app.extensions`` has the middleware, and ``app.config``, in capitals, the settings.
EXTENSION = "swprof"


class SWProfiler(WSGIEntry):
    """Traces the requests of a Flask app, and profiles the ones that a task asks for.

    ``SWProfiler(app, service_name="shop")`` or, for apps that are made later, ``SWProfiler(service_name="shop")`` once
    and its ``init_app(app)`` for each. Both put a middleware around all that ``app.wsgi_app`` is by then, which is what
    ``app.wsgi_app = SWProfiler(app)`` says more clearly; it is ``app.extensions["swprof"]``. Settings may also be in
    ``app.config["SWPROF"]``, a dict that is read at the first request. With ``enabled=False`` nothing is changed.

    Args:
        app: the app; what its ``wsgi_app`` is now, is what this calls.
        settings: as `swprof_mw.config` has them. ``service_name`` is by default the app's name.

    Raises:
        ConfigError: a keyword or an environment variable is not valid.
    """

    def __new__(cls, app: Flask | None = None, **settings: Unpack[Settings]) -> Self:
        """The middleware; the app's own ``wsgi_app`` if it is not enabled."""
        if app is not None and not Config.load(settings).enabled:
            return cast("Self", app.wsgi_app)
        return super().__new__(cls)

    def __init__(self, app: Flask | None = None, **settings: Unpack[Settings]) -> None:
        if hasattr(self, "app"):
            return  # not enabled: what is given back is one that was there before
        self._settings = settings
        if app is None:
            # A bad setting is told where it was written.
            super().__init__(Application(COMPONENT, settings), _no_app)
            return
        application = Application(COMPONENT, settings, lambda: _settings_of(app), lambda: app.name)
        application.find_route = route_now
        super().__init__(application, app.wsgi_app)
        self._flask = app
        #: Whether it is Flask itself that answers: what is in between may change the answer, or lead to other apps.
        self.tells_of_answers = getattr(app.wsgi_app, "__func__", None) is Flask.wsgi_app
        if not self.tells_of_answers:
            starts.want(self)
        connect(app)
        app.wsgi_app = self  # type: ignore[method-assign]
        app.extensions[EXTENSION] = self

    def watch_routes(self, wanted: bool) -> None:
        """By a signal, which costs each request something."""
        if wanted:
            starts.want(self)
        elif self.tells_of_answers:
            starts.leave(self)

    @guarded("naming a Flask request")
    def unanswered(self, span: EntrySpan, environ: dict[str, Any]) -> None:
        """Flask tells nothing of a request that is left by what is no ``Exception``: a worker's end, a timeout."""
        if not span.is_routed and self.tells_of_answers:
            with contextlib.suppress(HTTPException):
                span.route(route_of(self._flask, environ))

    def init_app(self, app: Flask) -> None:
        """Put a middleware with these settings into ``app``; one that is there already stays, and is the only one."""
        there = app.extensions.get(EXTENSION)
        if there is None:
            type(self)(app, **self._settings)
        elif there._settings != self._settings:
            words = "the Flask app %r has swprof_mw already, with other settings: these stay"
            logger.warning(words, app.name, extra=fields("settings_ignored", app=app.name))


def _no_app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    raise RuntimeError("SWProfiler was made without an app; init_app(app) puts it into one")


def _settings_of(app: Flask) -> Mapping[str, object]:
    found: Mapping[str, object] = app.config.get(EXTENSION.upper(), {})
    return found
