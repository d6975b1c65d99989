"""What is wrong with settings, though each for itself may be valid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from swprof_mw.check.apps import Explained, Instrumented
from swprof_mw.check.finding import Finding, finding
from swprof_mw.config import SETTINGS, Config, ConfigError
from swprof_mw.token import sent_in_clear

_NAME = SETTINGS["service_name"].environment[0]


def config_of(explained: Explained) -> Config:
    """The same as a whole."""
    return Config(**{name: value for name, (value, _) in explained.items()})


def invalid(error: ConfigError) -> Finding:
    """What a setting says of itself."""
    return finding("setting-invalid", str(error), "put it right where it comes from, which is told in brackets")


def of_app(app: Instrumented, explained: Explained) -> Iterator[Finding]:
    """What there is against the settings of one app."""
    enabled, source = explained["enabled"]
    if not enabled:
        yield finding("off", f"it is switched off ({source})", "take enabled away, or set it on")
        return
    active, source = explained["profile_active"]
    if not active:
        yield finding("profiling-off", f"no profile task is carried out: profile_active is off ({source})", "set it on")
    yield from _name(app, explained)
    far = sent_in_clear(config_of(explained))
    if far:
        words = f"the token is sent to {', '.join(far)} without TLS: whoever is on the way can read it"
        yield finding("token-in-clear", words, "set force_tls or tls_ca, if the backend speaks TLS")


def _name(app: Instrumented, explained: Explained) -> Iterator[Finding]:
    mend = f"set service_name, or {_NAME} in the environment"
    if explained["service_name"][0]:
        return
    if not app.default_name:
        yield finding("service-name-missing", "service_name is not set, and the app has no name of its own", mend)
    else:
        yield finding("service-name-default", f"the service is called {app.default_name!r}, after the app", mend)


def differences(asked: Mapping[str, Config], others: Mapping[str, Config]) -> Iterator[Finding]:
    """What apps of one process disagree on, by what they are called.

    Args:
        asked: apps that are going to be served.
        others: apps that are there too, and perhaps are served.
    """
    if not asked:
        return
    (first, config), *rest = asked.items()
    for other, theirs in (*rest, *others.items()):
        told = config.disagreement(theirs)
        if told:
            mend = "give them the same value; until then the one that answers second is not profiled"
            found = finding("settings-differ", f"{first} and {other}: {told}", mend)
            yield found if other in asked else found._replace(severity="warning")
