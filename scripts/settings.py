"""Write docs/settings.md out of the settings themselves; with ``--check``, fail if it is not up to date."""

import pathlib
import sys

from swprof_mw.config import SETTINGS, Setting

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "settings.md"

ABOVE = """\
# Settings

<!-- Written by scripts/settings.py out of swprof_mw/config.py: change it there. -->

A setting comes from, first found wins:

1. the keyword argument: `SWProfiler(app, service_name="shop")`;
2. the framework's own configuration: `SWPROF = {"service_name": "shop"}` in Django's settings,
   `app.config["SWPROF"]` in Flask;
3. the environment: `SW_AGENT_NAME=shop`, where an empty variable counts as not set;
4. the default.

A keyword argument, or a value in the framework's configuration, that is `None` counts as not given. An unknown name and
a value out of range are errors that name the setting, where the value came from, and what would be right.

| setting | environment | type and range | default | meaning |
| --- | --- | --- | --- | --- |
"""
BELOW = """
Each app of a process has its own {names}. All other settings are the process's: its apps share one reporter and one
sampler, so they must be the same in all of them.
"""


def default_of(setting: Setting) -> str:
    """The default as a person would write it."""
    value = setting.default
    if isinstance(value, bool):
        return "on" if value else "off"
    if value in ("", (), frozenset()):
        return setting.unset
    if isinstance(value, tuple):
        return f"`{', '.join(map(str, value))}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def row(name: str, setting: Setting) -> str:
    """One line of the table."""
    variables = ", or ".join(f"`{each}`" for each in setting.environment)
    cells = (f"`{name}`", variables, setting.expected, default_of(setting), setting.meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def page() -> str:
    """The whole page."""
    rows = "".join(row(name, setting) for name, setting in SETTINGS.items())
    *names, last = (f"`{name}`" for name, setting in SETTINGS.items() if setting.app)
    return ABOVE + rows + BELOW.format(names=f"{', '.join(names)} and {last}")


def main(arguments: list[str]) -> None:
    """Write the page; or, with ``--check``, exit with a message if the one there differs."""
    if "--check" not in arguments:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        sys.exit("docs/settings.md is out of date: run scripts/settings.py")


if __name__ == "__main__":
    main(sys.argv[1:])
