"""A scope that tells of routing while it happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swprof_mw.asgi.types import Scope


class WatchedScope(dict[str, Any]):
    """Tells when a router has written into it, which is before the dependencies and the view run.

    Middleware that hands on a ``dict(scope)`` of its own hides what the router writes, now and at the request's end:
    only our middleware inside of that one can tell.

    What is written goes into the original too, at once: whoever is outside of us reads it there.

    Args:
        scope: what it is a copy of.
        routed: called with this scope after each change that routers make.
    """

    __slots__ = ("_original", "_routed")

    def __init__(self, scope: Scope, routed: Callable[[Scope], object]) -> None:
        super().__init__(scope)
        self._original = scope
        self._routed = routed

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As of a dict. It is how Starlette and FastAPI write what a route or a mount has matched."""
        super().update(*args, **kwargs)
        self._original.update(*args, **kwargs)
        self._routed(self)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._original[key] = value
        if key == "path_template":  # it is how Litestar writes it
            self._routed(self)
