"""Ant style patterns of paths, as the official agents have them."""

from __future__ import annotations

import itertools
import re


def ant_pattern(text: str) -> re.Pattern[str]:
    """Compile an Ant style pattern, to be used by `match`: it covers the whole path.

    `?` is one character and `*` any number of them, but no slash; `**` is any characters; `**/` at the start of a
    segment is any number of whole segments, or none. Everything else stands for itself.
    """
    numbers = itertools.count()

    def once(regex: str) -> str:
        # An atomic group, which `re` lacks before 3.11. Before another wildcard the shortest match is as good as any
        # longer one; not backtracking into it spares a request the quadratic time that a thought-up path could cost.
        return f"(?=(?P<w{(number := next(numbers))}>{regex}))(?P=w{number})"

    def chunk(part: str, last: bool) -> str:
        first, *stars = (re.escape(fixed).replace(r"\?", "[^/]") for fixed in part.split("*"))
        tail = "[^/]*" + stars.pop() if last and stars else ""
        return first + "".join(once("[^/]*?" + fixed) for fixed in stars) + tail

    first, *rest = re.split(r"((?<![^/])\*\*/|\*\*+)", text)
    regex = chunk(first, not rest)
    while rest:
        gap, part, *rest = rest
        piece = "(?:.*?/)??" + chunk(part if gap == "**/" else "*" + part, not rest)
        regex += once(piece) if rest else piece
    return re.compile(rf"(?s:{regex})\Z")
