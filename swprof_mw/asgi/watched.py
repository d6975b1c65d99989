"""A scope that tells of routing while it happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swprof_mw.asgi.types import Scope

_NOTHING = object()


class WatchedScope(dict[str, Any]):
    """Tells when a router has written into it, which is before the dependencies and the view run.

    Middleware that hands on a ``dict(scope)`` of its own hides what the router writes, now and at the request's end:
    only our middleware inside of that one can tell.

    What is written goes into the original too, at once: whoever is outside of us reads it there. What they write
    comes in with `refresh`. Copies are plain dicts.

    Args:
        scope: what it is a copy of.
        routed: called with this scope after each change that routers make.
    """

    __slots__ = ("_original", "_routed")

    def __init__(self, scope: Scope, routed: Callable[[Scope], object]) -> None:
        super().__init__(scope)
        self._original = scope
        self._routed = routed

    def refresh(self) -> None:
        """Take over what was written into the original since."""
        original = self._original
        for key in self.keys() - original.keys():
            super().__delitem__(key)
        super().update(original)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As of a dict. It is how Starlette and FastAPI write what a route or a mount has matched."""
        changes: dict[str, Any] = {}
        try:
            # Read once, it may be an iterator; if that fails midway, what came before counts.
            changes.update(*args, **kwargs)
        finally:
            super().update(changes)
            self._original.update(changes)
        self._routed(self)

    def __ior__(self, other: Any) -> WatchedScope:  # type: ignore[override,misc]
        self.update(other)
        return self

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._original[key] = value
        if key == "path_template":  # it is how Litestar writes it
            self._routed(self)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._original.pop(key, None)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """As of a dict."""
        value = self.get(key, _NOTHING)
        if value is not _NOTHING:
            return value
        self[key] = default
        return default

    def pop(self, key: str, *default: Any) -> Any:
        """As of a dict."""
        self._original.pop(key, None)
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        """As of a dict."""
        item = super().popitem()
        self._original.pop(item[0], None)
        return item

    def clear(self) -> None:
        """As of a dict."""
        super().clear()
        self._original.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return self.__reduce__()
