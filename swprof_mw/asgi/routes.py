"""The routes of a Starlette or FastAPI app, with the templates of all their prefixes. Imports Starlette."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import Enum
from typing import Any, NamedTuple

from starlette.routing import Host, Match, Mount, Router

from swprof_mw.asgi.head import Head
from swprof_mw.asgi.types import Scope
from swprof_mw.clock import monotonic_ns

_REST = "/{path}"
#: Wrappers around an app that are looked through, at the most.
_WRAPPERS = 50
#: An endpoint that is not in the index is looked for in a new one, but no oftener than this.
_REBUILT_EVERY = 1_000_000_000


class Kind(Enum):
    """ROUTE: a route. ROUTER: a mounted app whose routes are known too. APP: a mounted app of any other kind."""

    ROUTE = 0
    ROUTER = 1
    APP = 2


class Target(NamedTuple):
    """One place that a request can be routed to.

    Attributes:
        template: from the outermost router on, for example ``/shops/{shop}/items/{item_id}``; of a mounted app
            its prefix and ``/{path}``.
        kind: what is there.
        chain: the mounts that lead there, outermost first, and the route itself.
    """

    template: str
    kind: Kind
    chain: tuple[Any, ...]

    @property
    def prefix(self) -> str:
        """Of a mounted app: the template of what comes before the app's own routes."""
        return self.template.removesuffix(_REST)


def router_of(app: Any) -> Router | None:
    """The router of an app, looked for through the middleware around it; None if it is not Starlette's."""
    for _ in range(_WRAPPERS):
        if app is None or isinstance(app, Router):
            return app
        inner = getattr(app, "router", None)
        if isinstance(inner, Router):
            return inner
        app = getattr(app, "app", None)
    return None


class RouteIndex:
    """All targets of one router, found by the endpoint that routing leaves in the scope.

    The endpoint is there in all versions, for routes and for mounts, while the scope's ``route`` is missing in old
    ones, lacks the prefixes in new ones, and is out of date after some mounts.

    Attributes:
        router: the outermost router.
        mounts_vary: whether an app of another kind is mounted below a parameter: what it knows of its prefix is the
            parameter's value.
    """

    def __init__(self, router: Router) -> None:
        self.router = router
        self.mounts_vary = False
        self._routes = 0
        self._built = 0
        self._targets: dict[int, list[Target]] = {}
        self._build()

    def find(self, scope: Scope, head: Head) -> Target | None:
        """Where the request was routed to so far; None if nowhere yet."""
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return None
        targets = self._of(endpoint)
        if not targets:
            return self._hidden(scope, head, endpoint)
        return targets[0] if len(targets) == 1 else _first_match(targets, scope, head) or targets[0]

    def _of(self, endpoint: Any) -> list[Target] | None:
        found = self._targets.get(id(endpoint))
        if len(self.router.routes) != self._routes or (
            found is None and monotonic_ns() - self._built > _REBUILT_EVERY
        ):  # routes were added while the app was running
            self._build()
            found = self._targets.get(id(endpoint))
        return found

    def _hidden(self, scope: Scope, head: Head, endpoint: Any) -> Target | None:
        """An endpoint of a router that could not be seen: inside of a wrapper that does not show what it wraps."""
        apps = [target for targets in self._targets.values() for target in targets if target.kind is Kind.APP]
        mount = _first_match(apps, scope, head)
        route = scope.get("route")
        if getattr(route, "endpoint", None) is endpoint:
            return Target((mount.prefix if mount else "") + route.path_format, Kind.ROUTE, ())  # type: ignore[union-attr]
        return mount

    def _build(self) -> None:
        # The identifiers stay those of the endpoints: each chain holds its route, and that its endpoint.
        targets: dict[int, list[Target]] = {}
        self._built = monotonic_ns()
        self._routes = len(self.router.routes)
        _collect(targets, self.router, "", ())
        self.mounts_vary = any(
            target.kind is Kind.APP and "{" in target.prefix for found in targets.values() for target in found
        )
        self._targets = targets


def _collect(targets: dict[int, list[Target]], router: Router, prefix: str, chain: tuple[Any, ...]) -> None:
    for route in _expanded(router.routes):
        path = (*chain, route)
        original = getattr(route, "original_route", route)
        if not isinstance(original, Mount | Host):
            if getattr(route, "endpoint", None) is not None and getattr(route, "path_format", None) is not None:
                _add(targets, route.endpoint, Target(prefix + route.path_format, Kind.ROUTE, path))
            continue
        # A host has no part in the name.
        inner_prefix = prefix + (route.path_format.removesuffix(_REST) if isinstance(original, Mount) else "")
        inner = router_of(route.app)
        _add(targets, route.app, Target(inner_prefix + _REST, Kind.APP if inner is None else Kind.ROUTER, path))
        if inner is not None and len(path) < _WRAPPERS and not any(outer.app is route.app for outer in chain):
            _collect(targets, inner, inner_prefix, path)


def _add(targets: dict[int, list[Target]], endpoint: Any, target: Target) -> None:
    known = targets.setdefault(id(endpoint), [])
    if all(other.template != target.template for other in known):
        known.append(target)


def _expanded(routes: list[Any]) -> Iterable[Any]:
    """FastAPI keeps an included router as one route since 0.137, and gives its routes, with their prefixes, on demand."""
    expand: Any = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", None)
    found: Iterable[Any] = expand(routes) if expand is not None else routes
    return found


def _first_match(targets: list[Target], scope: Scope, head: Head) -> Target | None:
    """The target that routing takes out of several with the same endpoint: it, too, takes the first that matches.

    Asked first with the path as it came in: old versions' mounts cut it off. Then as it is now, since middleware may
    have rewritten it.
    """
    outer = scope.get("app_root_path", scope.get("root_path", ""))
    cut_off = head.root_path.removeprefix(outer) if head.routed else ""
    came_in = head.path if head.path.startswith(head.root_path) else cut_off + head.path
    for path in (came_in, scope["path"]):
        routed = {**scope, "path": path, "root_path": outer, "path_params": {}}
        routed.pop("fastapi", None)
        matches = [(_match(target.chain, dict(routed)), target) for target in targets]
        for wanted in (Match.FULL, Match.PARTIAL):
            for match, target in matches:
                if match is wanted:
                    return target
    return None


def _match(chain: tuple[Any, ...], scope: Scope) -> Match:
    match = Match.NONE
    for route in chain:
        match, child_scope = route.matches(scope)
        if match is Match.NONE:
            break
        scope.update(child_scope)
    return match
