"""The endpoint's name, out of what the app's router leaves in the scope."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from swprof_mw.asgi.head import Head
from swprof_mw.asgi.types import ASGIApp, Scope
from swprof_mw.failures import guarded
from swprof_mw.span import EntrySpan, Span

if TYPE_CHECKING:
    from swprof_mw.asgi.routes import RouteIndex, Target

#: SkyWalking's component ids.
STARLETTE = 7000
FASTAPI = 7014


class WatchedScope(dict[str, Any]):
    """A scope that tells when a router writes into it, before it lets the view run.

    Args:
        scope: what it is a copy of.
        routed: called with this scope after each change that routers make.
    """

    __slots__ = ("_routed",)

    def __init__(self, scope: Scope, routed: Callable[[Scope], object]) -> None:
        super().__init__(scope)
        self._routed = routed

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As of a dict. Starlette and FastAPI put a matched route in this way, Mounts too."""
        super().update(*args, **kwargs)
        self._routed(self)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        if key == "path_template":  # Litestar's
            self._routed(self)


class Naming:
    """Names the requests of one app.

    While no profile task runs, a request is named at its end, out of the scope that the router wrote into. While one
    runs, the name has to be there before the view is: the app gets a scope that tells. Both ask the same index.

    Args:
        app: the app as the middleware was given it.

    Attributes:
        component: SkyWalking's component id of the app's framework, as far as it is known.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.component = STARLETTE
        self._app = app
        self._framework: Any = None
        self._index: RouteIndex | None = None
        self._looked = False

    @guarded("looking at the app")
    def look(self, scope: Scope) -> None:
        """Find out what the app is, once: frameworks put it into the scope for the middleware inside of them."""
        if self._looked:
            return
        self._looked = True
        self._framework = scope.get("app") or _innermost(self._app)
        if any(each.__module__.partition(".")[0] == "fastapi" for each in type(self._framework).__mro__):
            self.component = FASTAPI
        if "starlette.routing" in sys.modules:
            from swprof_mw.asgi.routes import RouteIndex, router_of

            router = router_of(scope.get("router")) or router_of(self._framework) or router_of(self._app)
            self._index = RouteIndex(router) if router is not None else None

    def app_name(self) -> str:
        """What the app calls itself (FastAPI's title, Quart's name); empty if it does not."""
        names = (getattr(self._framework, attribute, "") for attribute in ("title", "name"))
        return next((name for name in names if name and isinstance(name, str)), "")

    def scope_for(self, span: Span, scope: Scope, head: Head) -> Scope:
        """The scope that the app is to be called with: watched if the name is wanted before the view runs."""
        index = self._index
        if not (span.wants_route or (index is not None and index.mounts_vary)) or isinstance(scope, WatchedScope):
            return scope
        if index is None and isinstance(span, EntrySpan) and not _is_litestar(self._framework):
            span.route_by_path()
            head.guess = span.endpoint
        return WatchedScope(scope, lambda routed: self._name_early(span, routed, head))

    @guarded("naming a matched route")
    def _name_early(self, span: Span, scope: Scope, head: Head) -> None:
        target = self._target(scope, head)
        if target is None:
            template = scope.get("path_template")
            if template:
                span.route(template)
        elif target.kind.name == "ROUTE":
            self._name_route(span, target, head)
        elif target.kind.name == "APP" and isinstance(span, EntrySpan):
            root_path: str = scope.get("root_path", "")
            span.mount = (root_path, scope.get("app_root_path", "") + target.prefix)
            span.route(target.template)

    @guarded("naming a request")
    def name(self, span: Span, scope: Scope, head: Head) -> None:
        """Name the request at its end, out of the scope that its app was called with."""
        target = self._target(scope, head)
        if target is not None and target.kind.name == "ROUTE":
            self._name_route(span, target, head)
        elif not isinstance(span, EntrySpan) or (span.endpoint and span.endpoint != head.guess):
            return  # an inner app has named it, and knows better than the mount
        elif target is not None:
            span.route(target.template if target.kind.name == "APP" else None)
        elif scope.get("path_template"):
            span.route(scope["path_template"])
        elif self._index is not None or "router" in scope or _is_litestar(self._framework):
            span.route(None)
        else:
            span.route_by_path()
