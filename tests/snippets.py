"""Code that stands in the docs: found by the heading above it, for tests that run it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).resolve().parent.parent / "docs"

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_FILE = re.compile(r"# (\w+\.py)\n")


class Snippet(NamedTuple):
    """A block of code.

    Attributes:
        heading: of the section that it stands in.
        language: as its fence says.
        file: what its first line says that it is a part of; empty if it says nothing.
        code: all of it.
    """

    heading: str
    language: str
    file: str
    code: str


def of_page(page: str, language: str = "python") -> list[Snippet]:
    """The snippets in that language of a page of the docs, ``frameworks.md``, from the top down."""
    text = (DOCS / page).read_text()
    first, *rest = _HEADING.split(text)
    sections = [("", first), *zip(rest[::2], rest[1::2], strict=True)]
    return [
        Snippet(heading, found, named[1] if (named := _FILE.match(code)) else "", code)
        for heading, section in sections
        for found, code in _FENCE.findall(section)
        if found == language
    ]
