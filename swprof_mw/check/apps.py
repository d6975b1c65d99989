"""What of ours is in an app, and what is further out."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from swprof_mw.application import Application
from swprof_mw.components import innermost, packages_of
from swprof_mw.config import explain

Explained = dict[str, tuple[Any, str]]

#: So deep an app is looked into for us, and at so many objects.
_DEPTH = 20
_OBJECTS = 1_000
#: Middleware that is better further out, and takes no time: what a proxy says of the client.
_WELL_OUTSIDE = frozenset({"ProxyFix", "ProxyHeadersMiddleware", "ForwardedMiddleware"})
#: Apps of these only hand on to the outermost of what was put around them.
_HANDS_ON = frozenset({"flask", "quart"})


class Instrumented(NamedTuple):
    """An app that one of our middlewares is in.

    Attributes:
        middleware: its class, as it is imported.
        framework: what the app is made with, ``Flask``; the name of its class if that is not known.
        explain: gives each setting and its source, or raises ``ConfigError``.
        default_name: of its service, where no setting has one.
        outside: classes of what is further out, outermost first; without what is better there.
        again: how many more of ours are right inside.
    """

    middleware: str
    framework: str
    explain: Callable[[], Explained]
    default_name: str
    outside: tuple[str, ...] = ()
    again: int = 0


def instrumented(app: Any) -> Instrumented | None:
    """What is found of ours on the way into an app; None: nothing."""
    way: list[str] = []
    found = _search(app, way, set(), _DEPTH)
    return found._replace(outside=tuple(each for each in way if each not in _WELL_OUTSIDE)) if found else None


def made() -> list[Application]:
    """What all middlewares of ours in this process hold, whatever app they are in."""
    gc.collect()  # one that is off leaves a cycle
    return [each for each in gc.get_objects() if type(each) is Application]


def mounted(app: Any) -> Iterator[Any]:
    """The apps that are mounted in one of Starlette's, at any depth."""
    for route in getattr(app, "routes", None) or ():
        inner = getattr(route, "app", None)
        if type(route).__name__ in ("Mount", "Host") and inner is not None:
            yield inner
            yield from mounted(inner)


def framework_of(app: Any) -> str:
    """What an app is made with."""
    inner = innermost(app)
    packages = packages_of(inner)
    names = ("flask", "quart", "fastapi", "starlette", "litestar", "falcon", "bottle", "pyramid", "django")
    known = next((package for package in packages if package in names), "")
    return {"fastapi": "FastAPI"}.get(known, known.capitalize()) or _named(inner)


def _search(app: Any, way: list[str], seen: set[int], depth: int) -> Instrumented | None:
    """Look for us in an app and what it wraps; ``way`` has in the end what is further out."""
    if depth == 0 or id(app) in seen or len(seen) > _OBJECTS:
        return None
    seen.add(id(app))
    found = _ours(app) or _in_framework(app, way)
    if found is not None:
        return found
    before = len(way)
    for inner in _inside(app):
        if not _HANDS_ON & set(packages_of(app)):
            way.append(_named(app))
        found = _search(inner, way, seen, depth - 1)
        if found is not None:
            return found
        del way[before:]
    return None


def _ours(app: Any) -> Instrumented | None:
    """The app as one of our own middlewares."""
    if not any(package == "swprof_mw" for package in packages_of(app)):
        return None
    application = getattr(app, "application", None) or getattr(app, "_application", None)
    if application is None:
        return None
    inner, again = app.app, 0
    while type(inner) is type(app):
        inner, again = inner.app, again + 1
    name = _asgi_name(inner) if hasattr(app, "_application") else application.default_name
    return Instrumented(_imported_as(type(app)), framework_of(inner), application.explain, name, again=again)


def _asgi_name(app: Any) -> str:
    """What an ASGI app calls itself, which our middleware finds out with its first scope."""
    from swprof_mw.asgi.framework import Framework

    return Framework(app, {}).name


def _in_framework(app: Any, way: list[str]) -> Instrumented | None:
    """Ours among the middleware that a framework is told of, and puts in later by itself."""
    packages = packages_of(app)
    if "django" in packages:
        return _in_site(app, way)
    if "litestar" in packages:
        return _among(getattr(app, "middleware", None), app, way, ("Litestar's own router",))
    return _among(getattr(app, "user_middleware", None), app, way) if "starlette" in packages else None


def _in_site(app: Any, way: list[str]) -> Instrumented | None:
    """Ours among a Django site's middleware."""
    from swprof_mw.django import site

    place = site.place()
    if place is None:
        return None
    way.extend(place.before)
    name, explained = site.default_name(), lambda: explain({}, site.given())
    return Instrumented(site.MIDDLEWARE, framework_of(app), explained, name, again=place.again)


def _among(entries: Any, app: Any, way: list[str], further: tuple[str, ...] = ()) -> Instrumented | None:
    """Ours out of entries like Starlette's ``Middleware``, outermost first; ``further`` is what is around them all."""
    entries = list(entries or ())
    classes = [getattr(each, "cls", None) or getattr(each, "middleware", None) or each for each in entries]
    places = [place for place, each in enumerate(classes) if getattr(each, "__module__", "").startswith("swprof_mw.")]
    if not places:
        return None
    first = places[0]
    way.extend((*further, *map(_named, classes[:first])))
    keywords = getattr(entries[first], "kwargs", None) or getattr(entries[first], "options", None) or {}
    given = {name: value for name, value in keywords.items() if name != "app"}
    again = len(places) - 1
    return Instrumented(
        _imported_as(classes[first]), framework_of(app), lambda: explain(given), _asgi_name(app), again=again
    )


def _inside(app: Any) -> list[Any]:
    """What an app may call: what it holds and can be called, or what a function has in its closure."""
    if isinstance(app, MethodType):
        return [app.__self__]
    if isinstance(app, FunctionType):
        held = [cell.cell_contents for cell in app.__closure__ or () if _is_filled(cell)]
    else:
        try:
            held = list(app.__dict__.values())
        except Exception:  # noqa: BLE001 - it has none; or it stands for something that is not there now
            return []
    return [each for each in held if callable(each) and not isinstance(each, type | ModuleType)]


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _named(app: Any) -> str:
    return str(getattr(app, "__name__", "") or type(app).__name__)


def _imported_as(kind: type) -> str:
    """Where a class is imported from: ``swprof_mw.flask.SWProfiler``."""
    return f"{kind.__module__.removesuffix('.profiler').removesuffix('.middleware')}.{kind.__qualname__}"
