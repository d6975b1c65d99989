"""System checks of the settings and of the middleware's place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from swprof_mw.config import SETTINGS, Config, ConfigError
from swprof_mw.django import site

MIDDLEWARE = "swprof_mw.django.SWProfilerMiddleware"
_NAMES = (MIDDLEWARE, "swprof_mw.django.middleware.SWProfilerMiddleware")


def check_settings(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:
    """Whether ``settings.SWPROF`` and our environment variables are valid.

    Returns:
        Nothing, or one error: ``swprof_mw.E001`` for a name that is no setting's, ``swprof_mw.E002`` for a value.
    """
    given: object = site.given()
    try:
        Config.load({}, site.given())
    except ConfigError as error:
        unknown = isinstance(given, Mapping) and not set(given) <= set(SETTINGS)
        hint = f"Until this is put right, the site runs without swprof_mw. See settings.{site.SETTING}."
        return [Error(str(error), hint=hint, id="swprof_mw.E001" if unknown else "swprof_mw.E002")]
    return []


def check_middleware(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:
    """Whether the middleware is there, and the first.

    Returns:
        Nothing, or one warning: ``swprof_mw.W001`` if others come before it, ``swprof_mw.W002`` if it is missing.
    """
    names = list(settings.MIDDLEWARE)
    ours = [position for position, name in enumerate(names) if name in _NAMES]
    if not ours:
        hint = f"Put {MIDDLEWARE!r} first in MIDDLEWARE."
        return [Warning("swprof_mw is installed, but no request is profiled", hint=hint, id="swprof_mw.W002")]
    if ours[0] == 0:
        return []
    message = f"{names[ours[0]]} is not the first of MIDDLEWARE, and does not see what runs before it"
    return [Warning(message, hint=f"Put it before {names[0]!r}.", id="swprof_mw.W001")]
