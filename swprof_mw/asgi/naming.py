"""The endpoint's name, out of what the app's router leaves in the scope."""

from __future__ import annotations

from swprof_mw.asgi.framework import Framework
from swprof_mw.asgi.head import Head
from swprof_mw.asgi.target import APP, ROUTE, ROUTER, Target
from swprof_mw.asgi.types import Scope
from swprof_mw.asgi.watched import WatchedScope
from swprof_mw.failures import failed, guarded
from swprof_mw.nested_span import Span
from swprof_mw.span import EntrySpan


@guarded("watching a request")
def scope_for(framework: Framework, span: Span, scope: Scope, head: Head) -> Scope:
    """The scope that the app is to be called with.

    For requests whose name has to be there before the view is: while a profile task runs; and where an app of another
    kind, below a parameter of a mount, needs the mount's template by then. A mapping of somebody's own making cannot be
    stood in for, and stays what it is.
    """
    if type(scope) not in (dict, WatchedScope):
        return scope
    if isinstance(span, EntrySpan) and not framework.knows_router(scope):
        span.route_by_path()
        head.guess = span.endpoint
    begun = Head(scope)  # not ``head``, which may hold this scope: what holds itself is freed late
    return WatchedScope(scope, lambda routed: _name_early(framework, span, routed, begun))


def name(framework: Framework, span: Span, scope: Scope, head: Head) -> None:
    """Name a request at its end, out of the scope that its app was called with."""
    try:
        index = framework.indexes.get(id(scope.get("router")))
        if index is None or head.root_path or not isinstance(span, EntrySpan) or span.mount is not None:
            _name_otherwise(framework, span, framework.target(scope, head), scope, head)
            return
        known = index.names.get(id(scope.get("endpoint"))) if len(index.router.routes) == index.count else None
        if known is not None:  # as it is mostly
            span.route_known(known)
            return
        target = framework.target(scope, head)
        if target is None or target.kind is not ROUTE:
            _name_otherwise(framework, span, target, scope, head)
            return
        span.route(target.template)
        index.remember(target.endpoint, span.known(target.template))
    except Exception:  # noqa: BLE001
        failed("naming a request")


def _name_otherwise(framework: Framework, span: Span, target: Target | None, scope: Scope, head: Head) -> None:
    template = _template(span, target, scope, head)
    if target is not None and target.kind is ROUTE:
        span.route(template)
    elif not isinstance(span, EntrySpan) or span.endpoint not in ("", head.guess):
        return  # an app further in has named it, and knows better than the mount
    elif template or target is not None or (framework.knows_router(scope) and not _is_litestar_mount(scope)):
        span.route(template)
    else:
        span.route_by_path()


@guarded("naming a matched route")
def _name_early(framework: Framework, span: Span, scope: Scope, head: Head) -> None:
    target = framework.target(scope, head)
    template = _template(span, target, scope, head)
    if target is not None and target.kind is APP:
        if not isinstance(span, EntrySpan):
            return
        concrete: str = scope.get("root_path", "")
        span.mount = (concrete, scope.get("app_root_path", "") + target.prefix)
    if template:
        span.route(template)
    elif _is_litestar_mount(scope):
        span.route_by_path()


def _is_litestar_mount(scope: Scope) -> bool:
    """Whether Litestar has handed the request to a mounted app, of whose routes it does not know."""
    return scope.get("path_template") == ""


def _template(span: Span, target: Target | None, scope: Scope, head: Head) -> str | None:
    """The template of what was matched; None for nothing, or for a mounted router that has matched nothing (yet)."""
    if target is None:
        template: str | None = scope.get("path_template") or None
        return template
    if target.kind is ROUTER:
        return None
    # An app that does not tell us of its routing is further out: the prefix that it gave is all we know of it.
    inside = not isinstance(span, EntrySpan) and not head.routed
    return head.root_path + target.template if inside else target.template
