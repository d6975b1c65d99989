"""Write requirements/oldest.txt and newest.txt, and the table of docs/versions.md, anew: ``make locks``.

Both locks hold every package that the tests run with, for each supported Python: as old as requirements/oldest.in says,
and as new as there is.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

from bench.environments import PYTHONS

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
PAGE = ROOT / "docs" / "versions.md"
LIBRARIES = {
    "flask": "Flask",
    "django": "Django",
    "starlette": "Starlette",
    "fastapi": "FastAPI",
    "asgiref": "asgiref",
    "anyio": "AnyIO",
    "gevent": "gevent",
    "protobuf": "protobuf",
    "grpcio": "grpcio",
}
"""What the package meets in an app: the name on the registry, and the one that people know."""

_TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- end -->)", re.DOTALL)
_FOR_ALL = ("--universal", "--python-version", PYTHONS[0], "--no-python-downloads")
_PLAIN = ("--no-annotate", "--no-emit-index-url", "--custom-compile-command", "make locks")


def lock(kind: str, *options: str) -> None:
    """Write requirements/``kind``.txt."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--upgrade", *_FOR_ALL, *_PLAIN, *options]
    both = ("-o", f"requirements/{kind}.txt", "--extra", "test", "pyproject.toml")
    subprocess.run([*command, *both], cwd=ROOT, check=True)  # noqa: S603


def pins(kind: str, python: str) -> dict[str, str]:
    """The versions that requirements/``kind``.txt has for a Python on Linux, by the name of the package."""
    lines = (REQUIREMENTS / f"{kind}.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    linux = {**here, "sys_platform": "linux", "implementation_name": "cpython"}
    held = [each for each in found if each.marker is None or each.marker.evaluate(linux)]
    return {each.name.lower(): str(each.specifier).removeprefix("==") for each in held}


def table() -> str:
    """The oldest and the newest version of each library, as Markdown."""
    oldest, newest = pins("oldest", PYTHONS[0]), pins("newest", PYTHONS[-1])
    rows = [f"| {shown} | {oldest[name]} | {newest[name]} |" for name, shown in LIBRARIES.items()]
    return "\n".join(["| library | oldest | newest |", "| --- | --- | --- |", *rows, ""])


def main() -> None:
    """Lock, and write the table."""
    lock("oldest", "--constraints", "requirements/oldest.in")
    lock("newest", "--extra", "recipes")
    PAGE.write_text(_TABLE.sub(table(), PAGE.read_text()))


if __name__ == "__main__":
    main()
