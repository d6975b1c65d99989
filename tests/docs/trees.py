"""Trees of a profile that a page shows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_LINE = re.compile(r"^ *[\d.]+ % +\d+ ms(?: +own +[\d.]+ % +\d+ ms)? +(.*)$", re.MULTILINE)
_FRAME = re.compile(r"^([\w./-]+\.py)\.([\w.<>]+): (\d+)$")


class Frame(NamedTuple):
    """A line of code that a tree names."""

    file: str
    function: str
    line: int


def texts(tree: str) -> list[str]:
    """What each of its lines stands for, from the top down."""
    return _LINE.findall(tree)


def frame(text: str) -> Frame | None:
    """A line of code, if that is what it stands for."""
    match = _FRAME.match(text)
    return Frame(match[1], match[2], int(match[3])) if match else None


def frames(tree: str) -> list[Frame]:
    """Those of its lines that are code."""
    return [found for text in texts(tree) if (found := frame(text))]


def check(tree: str, sources: Mapping[str, str]) -> None:
    """Each frame in one of these files is a line of that function, and there is one at least."""
    inside = [one for one in frames(tree) if one.file in sources]
    assert inside, "no frame of the app's own"
    for one in inside:
        assert one.function in set(_functions_at(sources[one.file], one.line)), one


def _functions_at(source: str, line: int) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.lineno < line <= (node.end_lineno or 0):
            yield node.name
