"""All that is found out about some apps, the process that they are loaded into, and their backend."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swprof_mw.application import Application
from swprof_mw.check import process, settings
from swprof_mw.check.apps import Explained, Instrumented, framework_of, instrumented, made, mounted
from swprof_mw.check.backend import Reached, for_each
from swprof_mw.check.finding import Finding, finding
from swprof_mw.check.loading import is_factory
from swprof_mw.config import Config, ConfigError, explain

Explanations = dict[str, Explained]

#: What the service is called in calls where no app says.
_SERVICE = "swprof-check"


@dataclass(frozen=True)
class App:
    """What was found of one app.

    Attributes:
        target: as it was asked for.
        found: our middleware in it; None if there is none.
        explained: its settings and their sources; empty if one of them is not valid.
        findings: what is wrong with it.
    """

    target: str
    found: Instrumented | None
    explained: Explained
    findings: tuple[Finding, ...]

    @property
    def service(self) -> str:
        """What its service is called; empty if that is not known."""
        given = self.explained["service_name"][0] if self.explained else ""
        return given or (self.found.default_name if self.found else "")


@dataclass
class Diagnosis:
    """All of it.

    Attributes:
        apps: one for each that was asked for.
        settings: by the environment alone, and their sources; empty if one is not valid.
        reached: how calls to the backends ended.
        others: findings that are of no app and no backend.
    """

    apps: list[App] = field(default_factory=list)
    settings: Explained = field(default_factory=dict)
    reached: list[Reached] = field(default_factory=list)
    others: list[Finding] = field(default_factory=list)
    _unasked: Explanations = field(default_factory=dict)

    @property
    def findings(self) -> Iterator[Finding]:
        """Everything that was found."""
        yield from self.others
        for app in self.apps:
            yield from (each._replace(subject=app.target) for each in app.findings)
        for one in self.reached:
            if one.finding is not None:
                yield one.finding._replace(subject=one.address)

    def examine_apps(self, loaded: Mapping[str, Any]) -> None:
        """Look at apps that are loaded, by what they were asked for as."""
        found = {target: instrumented(app) for target, app in loaded.items()}
        known = [getattr(each.explain, "__self__", None) for each in found.values() if each is not None]
        unknown = [each for each in made() if each not in known]
        for target, app in loaded.items():
            self.apps.append(_examined(target, app, found[target], bool(unknown)))
        self._unasked = dict(_others(unknown, loaded))

    def refuse_app(self, target: str, error: ConfigError) -> None:
        """An app could not be loaded, since a setting of ours is not valid."""
        self.apps.append(App(target, None, {}, (settings.invalid(error),)))

    def examine_process(self, uwsgi: Path | None, directory: Path) -> None:
        """Look at this process, and at what is known of the server's.

        Raises:
            CheckError: ``uwsgi`` is no file of uWSGI's.
        """
        self.settings, findings = _explained(lambda: explain({}))
        self.others += [] if self.apps else findings
        self.others += process.interpreter()
        self.others += process.uwsgi(uwsgi, directory, os.environ)
        self.others += process.beside()
        asked = {app.target: app.explained for app in self.apps}
        self.others += settings.differences(_configs(asked), _configs(self._unasked))

    def examine_backend(self, timeout: float, tell: Callable[[str], None]) -> None:
        """Call each backend of the first app's settings, or else the environment's; `for_each` has the arguments."""
        explained = next((app.explained for app in self.apps if app.explained), self.settings)
        if not explained or any(each.id == "setting-invalid" for each in self.findings):
            return
        named = next((app.service for app in self.apps if app.service), explained["service_name"][0])
        service = named or _SERVICE
        self.reached = for_each(settings.config_of(explained), service, timeout, tell)


def _examined(target: str, app: Any, found: Instrumented | None, made_another: bool) -> App:
    """What is said of an app, in which that was found of ours."""
    if found is None:
        return App(target, None, {}, (_absent(target, app, made_another),))
    explained, findings = _explained(found.explain)
    findings += _of_place(found)
    if explained:
        findings += settings.of_app(found, explained)
    return App(target, found, explained, tuple(findings))


def _others(unknown: list[Application], loaded: Mapping[str, Any]) -> Iterator[tuple[str, Explained]]:
    """Apps that were not asked for: what to call each, and its settings."""
    for application in unknown:
        explained = _explained(application.explain)[0]
        name = explained["service_name"][0] if explained else application.default_name
        yield f"the app of service {name!r}" if name else "an app without a name", explained
    for target, app in loaded.items():
        for inner in filter(None, map(instrumented, mounted(app))):
            yield f"an app mounted in {target}", _explained(inner.explain)[0]


def _configs(explained: Explanations) -> dict[str, Config]:
    """Those whose settings are valid."""
    return {name: settings.config_of(each) for name, each in explained.items() if each}


def _explained(explain: Callable[[], Explained]) -> tuple[Explained, list[Finding]]:
    try:
        return explain(), []
    except ConfigError as error:
        return {}, [settings.invalid(error)]


def _of_place(found: Instrumented) -> Iterator[Finding]:
    if found.outside:
        names = ", ".join(found.outside)
        words = f"{names} {'is' if len(found.outside) == 1 else 'are'} further out, and what happens there is not seen"
        yield finding("not-outermost", words, "put ours around it: wrap last, or name it first in MIDDLEWARE")
    if found.again:
        yield finding("twice", f"{found.middleware} is there {found.again + 1} times", "put it in once")


def _absent(target: str, app: Any, made_another: bool) -> Finding:
    """Why nothing of ours is in an app."""
    if is_factory(app):
        return finding("not-instrumented", f"{target} is a function that makes an app", f"give {target}() or --factory")
    if not callable(app):
        return finding("not-instrumented", f"{target} is no app, but of type {type(app).__name__}", "give MODULE:APP")
    try:
        enabled, source = explain({})["enabled"]
    except ConfigError as error:
        return settings.invalid(error)
    if not enabled:
        return finding(
            "off", f"it is switched off ({source}), and so there is no middleware", "take it away, or set it on"
        )
    made = framework_of(app)
    if made_another:
        words = f"a middleware of ours was made, but {target} ({made}) does not lead to it, as far as can be seen"
        return finding("not-served", words, "let the server have what SWProfilerMiddleware(app) gives")
    mend = "docs/frameworks.md says how to put it in; enabled=False in the code leaves no trace of it either"
    return finding("not-instrumented", f"no middleware of ours is in {target} ({made})", mend)
