"""What an ASGI app turns out to be."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from swprof_mw.asgi.head import Head
from swprof_mw.asgi.target import APP, Target
from swprof_mw.asgi.types import ASGIApp, Scope
from swprof_mw.components import component_of, innermost, packages_of
from swprof_mw.failures import failed

if TYPE_CHECKING:
    from swprof_mw.asgi.routes import RouteIndex

#: Routers whose routes are remembered; an app that makes a new one for each request gets no further.
_ROUTERS = 64


class Framework:
    """The framework of one app, found out with its first scope.

    Args:
        app: the app as the middleware was given it.
        scope: the first one; a framework has put itself into it for the middleware inside of it.

    Attributes:
        component: SkyWalking's component id.
        name: what the app calls itself (FastAPI's title, Quart's name); empty if it does not.
        index: the routes of the outermost router that is known; None if there is none.
        indexes: the routes of all its routers, by their ids.
        is_known: whether its router is one that tells of a match.
    """

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        found: Any = scope.get("app") or innermost(app)
        self.component = component_of(found)
        self.name = _name(found)
        self.indexes: dict[int, RouteIndex] = {}
        self._own = self._index_of(found) or self._index_of(app)
        self.index = self._index_of(scope.get("router")) or self._own
        self.is_known = self.index is not None or "litestar" in packages_of(found)

    def knows_router(self, scope: Scope) -> bool:
        """Whether the request's router is one that tells of a match: without one, nothing matched."""
        return self.is_known or self._index_of(scope.get("router")) is not None

    @property
    def mounts_vary(self) -> bool:
        """Whether an app of another kind is mounted below a parameter; not, if that cannot be found out."""
        try:
            index = self.index
            if index is None:
                return False
            if len(index.router.routes) != index.count:
                index.refresh()
            return index.mounts_vary
        except Exception:  # noqa: BLE001
            failed("looking for mounts")
            return False

    def target(self, scope: Scope, head: Head) -> Target | None:
        """Where Starlette's routers have routed the request so far; None if nowhere, or if there are none."""
        router = scope.get("router")
        index = self.indexes.get(id(router)) or self._index_of(router)
        if index is None:
            return None
        found = index.find(scope, head)
        if found is None or found.kind is not APP or self._own is None or self._own is index:
            return found
        # Mounted in something that does not show it: the outermost router knows the prefix, our own the rest.
        inner = self._own.find(scope, head)
        return Target(found.prefix + inner.template, inner.kind) if inner is not None else found

    def _index_of(self, app: Any) -> RouteIndex | None:
        index = self.indexes.get(id(app))
        if index is not None or app is None or "starlette.routing" not in sys.modules:
            return index
        from swprof_mw.asgi.routes import RouteIndex, router_of

        router = router_of(app)
        if router is None:
            return None
        if len(self.indexes) >= _ROUTERS:
            self.indexes.clear()
        # An id stays the router's own while its index, which holds the router, is here.
        return self.indexes.setdefault(id(router), RouteIndex(router))


def _name(app: Any) -> str:
    names = (getattr(app, attribute, "") for attribute in ("title", "name"))
    return next((name for name in names if name and isinstance(name, str)), "")
