"""The Django site as the core sees it: its settings, its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed

from swprof_mw import log
from swprof_mw.application import Application
from swprof_mw.config import Config, ConfigError

#: SkyWalking's id of Django.
COMPONENT = 7004
#: The name of our setting among Django's.
SETTING = "SWPROF"
#: How ours is named in ``settings.MIDDLEWARE``.
MIDDLEWARE = "swprof_mw.django.SWProfilerMiddleware"
_NAMES = (MIDDLEWARE, "swprof_mw.django.middleware.SWProfilerMiddleware")


class Place(NamedTuple):
    """Where ours is in ``settings.MIDDLEWARE``.

    Attributes:
        name: as it is written there.
        before: what comes before it.
        again: how often it comes again.
    """

    name: str
    before: tuple[str, ...]
    again: int


def place() -> Place | None:
    """Our place; None if we are not there."""
    names = list(settings.MIDDLEWARE)
    found = [position for position, name in enumerate(names) if name in _NAMES]
    return Place(names[found[0]], tuple(names[: found[0]]), len(found) - 1) if found else None


def given() -> Mapping[str, object]:
    """What ``settings.SWPROF`` says; nothing where there is no such setting."""
    found: Mapping[str, object] = getattr(settings, SETTING, {})
    return found


def application() -> Application:
    """What makes the spans of this site.

    Raises:
        MiddlewareNotUsed: it is not enabled, or a setting is not valid: the log and the system checks say which.
    """
    try:
        config = Config.load({}, given())
    except ConfigError as error:
        # A site runs without us rather than not at all.
        log.off(str(error))
        raise MiddlewareNotUsed(str(error)) from None
    if not config.enabled:
        raise MiddlewareNotUsed("swprof_mw is not enabled")
    return Application(COMPONENT, {}, given, default_name)


def default_name() -> str:
    """The package of the site's URLs, or else of its settings; both may be those of a script."""
    for name in ("ROOT_URLCONF", "SETTINGS_MODULE"):
        package = str(getattr(settings, name, None) or "__main__").partition(".")[0]
        if package != "__main__":
            return package
    return "django"
