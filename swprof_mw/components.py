"""SkyWalking's ids of the frameworks that an app may turn out to be made with."""

from __future__ import annotations

from types import MethodType
from typing import Any

#: Of what has no id of its own.
PYTHON = 7000

#: By the package that a framework's app is of. Quart has none, and inherits from Flask.
_IDS = {
    "flask": 7001,
    "django": 7004,
    "pyramid": 7009,
    "falcon": 7012,
    "fastapi": 7014,
    "bottle": 7015,
    "quart": PYTHON,
}

#: Wrappers around an app that are looked through, at the most.
_WRAPPERS = 50


def packages_of(app: Any) -> list[str]:
    """The packages that an app's class, and then those that it inherits from, are of."""
    return [each.__module__.partition(".")[0] for each in type(app).__mro__]


def component_of(app: Any) -> int:
    """The id of the framework that an app is of."""
    return next((_IDS[package] for package in packages_of(app) if package in _IDS), PYTHON)


def innermost(app: Any) -> Any:
    """The app inside of all the middleware that shows what it wraps as its ``app``; of a method, what it is of."""
    for _ in range(_WRAPPERS):
        inner = getattr(app, "app", None)
        # A router's own `app` is a method of it.
        if inner is None or getattr(inner, "__self__", None) is app:
            break
        app = inner
    return app.__self__ if isinstance(app, MethodType) else app
