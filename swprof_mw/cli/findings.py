"""What `check` has found, as text or as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

from swprof_mw import __version__
from swprof_mw.config import SETTINGS, shown
from swprof_mw.export.visible import visible

if TYPE_CHECKING:
    from swprof_mw.check.apps import Explained
    from swprof_mw.check.diagnosis import App, Diagnosis
    from swprof_mw.check.finding import Finding

#: In the order that they are told in, with the codes of their colours on a terminal.
_COLOURS = {"error": "31", "warning": "33", "note": "36"}
_GOOD, _FAINT = "32", "2"


class Paint:
    """Colours text for a stream, if that is a terminal and nobody has asked for none (``NO_COLOR``)."""

    def __init__(self, stream: TextIO) -> None:
        self._on = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def __call__(self, text: str, code: str) -> str:
        """The text in the colour of that code."""
        return f"\x1b[{code}m{text}\x1b[0m" if self._on else text


def as_text(diagnosis: Diagnosis, everything: bool, stream: TextIO) -> Iterator[str]:
    """Lines for people.

    Args:
        diagnosis: what was found.
        everything: whether to show settings that have their defaults.
        stream: where the lines go.
    """
    paint = Paint(stream)
    yield f"swprof_mw {__version__}, Python {platform.python_version()}, {platform.system()}"
    for app in diagnosis.apps:
        yield ""
        yield visible(_headline(app))
        yield from _settings(app.explained, everything, paint)
    if not diagnosis.apps:
        yield "no app was given: only the environment and the backend are looked at"
        yield from _settings(diagnosis.settings, everything, paint)
    yield ""
    for one in diagnosis.reached:
        if one.milliseconds is not None:
            yield f"{paint('ok', _GOOD)}       {visible(one.address)} answers, in {one.milliseconds:.0f} ms"
    yield from _told(list(diagnosis.findings), len(diagnosis.apps), paint)


def as_json(diagnosis: Diagnosis) -> Iterator[str]:
    """One JSON object."""
    found = {
        "version": __version__,
        "python": platform.python_version(),
        "apps": [_app(app) for app in diagnosis.apps],
        "settings": _values(diagnosis.settings),
        "backends": [
            {
                "address": one.address,
                "milliseconds": one.milliseconds,
                "finding": one.finding._asdict() if one.finding else None,
            }
            for one in diagnosis.reached
        ],
        "findings": [each._asdict() for each in diagnosis.findings],
    }
    yield json.dumps(found, indent=2)


def _headline(app: App) -> str:
    if app.found is None:
        return app.target
    service = f", service {app.service}" if app.service else ""
    return f"{app.target}: {app.found.framework} by {app.found.middleware}{service}"


def _settings(explained: Explained, everything: bool, paint: Paint) -> Iterator[str]:
    """A table of settings, as wide as they need it."""
    rows = [
        (name, _text(name, value), source)
        for name, (value, source) in explained.items()
        if everything or source != "default"
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, value, source in rows:
        yield visible(f"  {name:{widths[0]}}  {value:{widths[1]}}  ") + paint(source, _FAINT)
    if explained and not rows:
        yield "  all settings have their defaults"


def _text(name: str, value: Any) -> str:
    """A value as it would be written in the environment."""
    if SETTINGS[name].secret and value:
        return shown(name, value)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple | frozenset):
        return ", ".join(each if isinstance(each, str) else "=".join(each) for each in sorted(value))
    return str(value)


def _told(findings: list[Finding], apps: int, paint: Paint) -> Iterator[str]:
    """Findings, the worst first; with the app that each is about, if there are several."""
    for severity, code in _COLOURS.items():
        for one in findings:
            if one.severity == severity:
                about = f"{one.subject}: " if apps > 1 and one.subject and one.subject not in one.message else ""
                words = visible(f"{about}{one.message} [{one.id}]")
                yield f"{paint(severity, code)}{' ' * (9 - len(severity))}{words}"
                if one.mend:
                    yield f"         → {visible(one.mend)}"
    counts = {severity: sum(one.severity == severity for one in findings) for severity in ("error", "warning")}
    told = [f"{count} {severity}{'s' if count > 1 else ''}" for severity, count in counts.items() if count]
    yield ", ".join(told) if told else paint("nothing is wrong", _GOOD)


def _app(app: App) -> dict[str, Any]:
    found = app.found
    return {
        "target": app.target,
        "middleware": found.middleware if found else None,
        "framework": found.framework if found else None,
        "service": app.service or None,
        "settings": _values(app.explained),
    }


def _values(explained: Explained) -> dict[str, Any]:
    """Each setting with its source; a secret as messages show it."""
    return {name: {"value": _value(name, value), "source": source} for name, (value, source) in explained.items()}


def _value(name: str, value: Any) -> Any:
    """A value as JSON has it."""
    if SETTINGS[name].secret and value:
        return shown(name, value)
    return sorted(value) if isinstance(value, frozenset) else value
