"""The routes of a Starlette or FastAPI app, with the templates of all their prefixes. Imports Starlette."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.routing import Host, Match, Mount, Router

from swprof_mw.asgi.head import Head
from swprof_mw.asgi.target import REST, Kind, Target
from swprof_mw.asgi.types import Scope
from swprof_mw.clock import monotonic_ns

#: Wrappers around an app that are looked through, at the most.
_WRAPPERS = 50
#: An endpoint that is not in the index is looked for in a new one, but no oftener than this, ns.
REBUILT_EVERY = 1_000_000_000
_UNWANTED = 10_000


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

    Args:
        router: the outermost router.

    Attributes:
        router: the same.
        count: so many routes it had when they were collected.
        names: that requests have, by their endpoint's id; only of endpoints that are one route's, once it was given.
        mounts_vary: whether an app of another kind is mounted below a parameter: of its prefix it only knows the value.
        unwanted: until when (monotonic ns) no request is to be reported, by the endpoint's id and the method, where
            only profiled ones are; only for endpoints that are one target's.
    """

    def __init__(self, router: Router) -> None:
        self.router = router
        self.count = -1
        self._built = 0
        self._targets: dict[int, list[Target]] = {}
        self.mounts_vary = False
        self.names: dict[int, str] = {}
        self.unwanted: dict[tuple[int, str], int] = {}

    def refresh(self) -> None:
        """The router has another number of routes now: collect them."""
        # The identifiers stay those of the endpoints, since each target holds its own.
        targets: dict[int, list[Target]] = {}
        self._built = monotonic_ns()
        self.count = len(self.router.routes)
        _collect(targets, self.router, "", ())
        self._targets = targets
        self.names, self.unwanted = {}, {}  # endpoints may have become those of several targets
        self.mounts_vary = any("{" in target.prefix for target in self._apps())

    def find(self, scope: Scope, head: Head) -> Target | None:
        """Where the request was routed to so far; None if nowhere yet."""
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return None
        if len(self.router.routes) != self.count:
            self.refresh()
        targets = self._targets.get(id(endpoint)) or self._missed(endpoint)
        if not targets:
            return self._hidden(scope, head, endpoint)
        return targets[0] if len(targets) == 1 else _first_match(targets, scope, head) or targets[0]

    def remember(self, endpoint: Any, name: str | None) -> None:
        """Requests of that endpoint have this name, if they all have one and it is one route's."""
        if name is not None and self._is_one_target_s(endpoint):
            self.names[id(endpoint)] = name

    def not_wanted(self, endpoint: Any, method: str, until: int) -> None:
        """No request of that endpoint is to be reported before ``until`` (monotonic ns)."""
        if self._is_one_target_s(endpoint):
            if len(self.unwanted) >= _UNWANTED:
                self.unwanted.clear()
            self.unwanted[id(endpoint), method] = until

    def _is_one_target_s(self, endpoint: Any) -> bool:
        return len(self._targets.get(id(endpoint), ())) == 1

    def _missed(self, endpoint: Any) -> list[Target] | None:
        """Apps may add routes while they run. Of an inner router that is seen by an endpoint that is missed."""
        if monotonic_ns() - self._built > REBUILT_EVERY:
            self.refresh()
        return self._targets.get(id(endpoint))

    def _hidden(self, scope: Scope, head: Head, endpoint: Any) -> Target | None:
        """An endpoint of a router that could not be seen: inside of a wrapper that does not show what it wraps."""
        mount = _first_match(self._apps(), scope, head)
        route: Any = scope.get("route")
        if getattr(route, "endpoint", None) is endpoint:
            return Target((mount.prefix if mount else "") + route.path_format, Kind.ROUTE)
        return mount

    def _apps(self) -> list[Target]:
        return [target for targets in self._targets.values() for target in targets if target.kind is Kind.APP]


def _collect(targets: dict[int, list[Target]], router: Router, prefix: str, chain: tuple[Any, ...]) -> None:
    for route in _expanded(router.routes):
        path = (*chain, route)
        if not isinstance(route, Mount | Host):
            if getattr(route, "endpoint", None) is not None and getattr(route, "path_format", None) is not None:
                _add(targets, Target(prefix + route.path_format, Kind.ROUTE, route.endpoint, path))
            continue
        # A host has no part in the name.
        inner_prefix = prefix + (route.path_format.removesuffix(REST) if isinstance(route, Mount) else "")
        inner = router_of(route.app)
        kind = Kind.APP if inner is None else Kind.ROUTER
        _add(targets, Target(inner_prefix + REST, kind, route.app, path))
        if inner is not None and len(path) < _WRAPPERS and not any(outer.app is route.app for outer in chain):
            _collect(targets, inner, inner_prefix, path)


def _add(targets: dict[int, list[Target]], target: Target) -> None:
    known = targets.setdefault(id(target.endpoint), [])
    if all(other.template != target.template for other in known):
        known.append(target)


def _expanded(routes: list[Any]) -> Iterator[Any]:
    """FastAPI since 0.137 keeps an included router as one route, and gives its routes with their prefixes on demand."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route
        else:  # each is like an APIRoute, or has made another route or mount with the prefix
            yield from (getattr(context, "starlette_route", None) or context for context in contexts())


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
