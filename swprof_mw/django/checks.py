"""System checks of the settings, of the middleware's place, and of the process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Warning

from swprof_mw import neighbours, runtime
from swprof_mw.config import SETTINGS, Config, ConfigError
from swprof_mw.django import site
from swprof_mw.token import sent_in_clear


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
    """Whether the middleware is there, the first, and once.

    Returns:
        Warnings: ``swprof_mw.W001`` if others come before it, ``swprof_mw.W002`` if it is missing, ``swprof_mw.W003``
        if it comes again. Nothing where we are switched off.
    """
    if not _is_on():
        return []
    place = site.place()
    if place is None:
        hint = f"Put {site.MIDDLEWARE!r} first in MIDDLEWARE."
        return [Warning("swprof_mw is installed, but no request is profiled", hint=hint, id="swprof_mw.W002")]
    found = []
    if place.before:
        message = f"{place.name} is not the first of MIDDLEWARE, and does not see what runs before it"
        found.append(Warning(message, hint=f"Put it before {place.before[0]!r}.", id="swprof_mw.W001"))
    if place.again:
        message = f"MIDDLEWARE has swprof_mw {place.again + 1} times"
        found.append(Warning(message, hint="Leave the first, and take the others out.", id="swprof_mw.W003"))
    return found


def check_process(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:
    """Whether it runs in this process, and undisturbed.

    Returns:
        ``swprof_mw.E003``, an error, if this Python or its server is not supported; ``swprof_mw.W004``, a warning, if
        SkyWalking's own agent runs too. Nothing where we are switched off.
    """
    if not _is_on():
        return []
    found = []
    reason = runtime.why_not()
    if reason:
        hint = "The site runs, and is not profiled. docs/processes.md has what is supported."
        found.append(Error(f"swprof_mw is off: {reason}", hint=hint, id="swprof_mw.E003"))
    if neighbours.official_agent_runs():
        message = "SkyWalking's own Python agent runs in this process too: requests are reported twice"
        hint = "Start the site without it, or switch swprof_mw off: SWPROF_ENABLED=off."
        found.append(Warning(message, hint=hint, id="swprof_mw.W004"))
    return found


def check_token(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:
    """Whether the token is kept from whoever is on the way to the backend; for ``check --deploy``.

    Returns:
        Nothing, or one warning: ``swprof_mw.W005``.
    """
    config = _config()
    far = sent_in_clear(config) if config is not None and config.enabled else []
    if not far:
        return []
    hint = "Set force_tls or tls_ca, if the backend speaks TLS."
    return [Warning(f"the token is sent to {', '.join(far)} without TLS", hint=hint, id="swprof_mw.W005")]


def _config() -> Config | None:
    """The site's settings; None if one of them is not valid."""
    try:
        return Config.load({}, site.given())
    except ConfigError:
        return None


def _is_on() -> bool:
    """Whether we are not switched off; where a setting is not valid, nobody has meant to."""
    config = _config()
    return config is None or config.enabled
