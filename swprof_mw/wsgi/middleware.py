"""The middleware of any WSGI app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swprof_mw.application import Application
from swprof_mw.components import component_of, innermost
from swprof_mw.nested_span import Span
from swprof_mw.span import EntrySpan
from swprof_mw.wsgi.entry import WSGIApp, WSGIEntry

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from swprof_mw.settings import Settings


class SWProfilerMiddleware(WSGIEntry):
    """Traces and profiles the requests of any WSGI app, and changes nothing of what passes.

    ``app = SWProfilerMiddleware(app, service_name="shop")``. With ``enabled=False``, or switched off in the
    environment, that gives back ``app`` itself. A request is named by its path, numbers, UUIDs and hex as ``{id}``,
    unless `swprof_mw.set_endpoint` says better. For Flask there is `swprof_mw.flask`, which knows the routes.

    Args:
        app: any WSGI app.
        settings: see the settings' page; what is not given comes from the environment. ``service_name`` has no default.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """

    def __new__(cls, app: WSGIApp, **settings: Unpack[Settings]) -> Any:
        """The middleware, or the app if we are off."""
        self = super().__new__(cls)
        WSGIEntry.__init__(self, Application(component_of(innermost(app)), settings), app)
        return self if self.application.enabled else app

    def __init__(self, app: WSGIApp, **settings: Unpack[Settings]) -> None:
        """All is done already: what is given back where we are off may be another middleware of ours."""

    def _open(self, environ: dict[str, Any]) -> Span | None:
        span = super()._open(environ)
        if isinstance(span, EntrySpan):
            span.route_by_path()  # now, for a task that asks for it; who knows better has not spoken yet
        return span
