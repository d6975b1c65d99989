"""Code that stands in the docs, for tests that run it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

_PART = re.compile(r"^## (?P<heading>[^\n]+)$|^```(?P<language>[\w-]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w.-]*\.\w+|Dockerfile)\n")


class Snippet(NamedTuple):
    """A block of code.

    Attributes:
        page: below docs/, or ``README.md``.
        line: of the page, where its fence begins.
        heading: of the section that it stands in.
        language: as its fence says.
        file: what its first line says that it is a part of; empty if it says nothing.
        code: all of it.
    """

    page: str
    line: int
    heading: str
    language: str
    file: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def name_of(path: Path) -> str:
    """What a page is called here."""
    return path.name if path.parent == ROOT else path.relative_to(DOCS).as_posix()


def of(path: Path) -> Iterator[Snippet]:
    """All snippets of a page, from the top down."""
    heading = ""
    text = path.read_text()
    for part in _PART.finditer(text):
        if part["heading"]:
            heading = part["heading"]
            continue
        named = _FILE.match(part["code"])
        line = text.count("\n", 0, part.start()) + 1
        yield Snippet(name_of(path), line, heading, part["language"], named[1] if named else "", part["code"])


def of_page(page: str, language: str = "python") -> list[Snippet]:
    """The snippets in that language of a page of the docs, ``frameworks.md``, from the top down."""
    return [snippet for snippet in of(DOCS / page) if snippet.language == language]


def fences(path: Path) -> int:
    """How many lines of a page begin or end a block, wherever they stand."""
    return len(re.findall(r"^[ >]*(?:```|~~~)", path.read_text(), re.MULTILINE))
