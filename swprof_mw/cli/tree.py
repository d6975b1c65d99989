"""A profile's tree as lines of text. Pure functions; all durations are ms."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from swprof_mw.export.visible import visible
from swprof_mw.query.client import Element

FRAMEWORKS = frozenset(
    [
        "a2wsgi",
        "anyio",
        "asgiref",
        "django",
        "fastapi",
        "flask",
        "gevent",
        "gunicorn",
        "h11",
        "hypercorn",
        "litestar",
        "quart",
        "rest_framework",
        "sanic",
        "starlette",
        "swprof_mw",
        "trio",
        "uvicorn",
        "uvloop",
        "waitress",
        "werkzeug",
    ]
)
"""Packages between a server and the application's own code."""

FOLDED_FROM = 2
"""Frames; a single one is as short as the line that would stand for it."""

LEAST_SHARE = 0.005
"""Of the whole; what is smaller is noise of the sampling and left out, unless all is asked for."""

_PLACE = re.compile(r"(?:^|.*/)(?:site-packages|dist-packages|lib/python3[^/]*)/")


@dataclass
class _Node:
    element: Element
    children: list[_Node] = field(default_factory=list)


def render(elements: Iterable[Element], whole: int, *, full: bool = False) -> list[str]:
    """The lines of one tree: share of the whole and ms of each node, the same of its own part, and its frame.

    Args:
        elements: of one tree, in any order.
        whole: what 100 % is; the request's duration.
        full: show every frame, however short, and fold none.
    """
    lines: list[str] = []
    waiting = [(root, 0) for root in reversed(_roots(elements))]
    least = 0.0 if full else whole * LEAST_SHARE
    while waiting:  # not recursive: stacks may be as deep as Python's own limit
        node, depth = waiting.pop()
        chain = [] if full else _chain(node)
        if len(chain) >= FOLDED_FROM:
            lines.append(_line(node.element, whole, depth, f"… {len(chain)} framework frames"))
            waiting.append((chain[-1].children[0], depth + 1))
            continue
        lines.append(_line(node.element, whole, depth, node.element.code_signature))
        shown = sorted(node.children, key=lambda child: child.element.duration)
        waiting.extend((child, depth + 1) for child in shown if child.element.duration >= least)
    return lines


def is_framework(code_signature: str) -> bool:
    """Whether a frame is of the standard library or lies between the server and the application, by its path."""
    if _PLACE.match(code_signature) or code_signature.startswith("<frozen "):
        return True
    first = code_signature.partition("/")[0].partition(".")[0]
    return first in FRAMEWORKS or first in sys.stdlib_module_names


def _roots(elements: Iterable[Element]) -> list[_Node]:
    nodes = {element.id: _Node(element) for element in elements}
    roots: list[_Node] = []
    for node in nodes.values():
        above = nodes.get(node.element.parent_id)
        (roots if above is None else above.children).append(node)
    return roots


def _chain(node: _Node) -> Sequence[_Node]:
    """From ``node`` on, the framework's frames that only pass all of their time on to one other."""
    chain: list[_Node] = []
    while (
        is_framework(node.element.code_signature)
        and len(node.children) == 1
        and node.children[0].element.duration == node.element.duration
    ):
        chain.append(node)
        node = node.children[0]
    return chain


def _line(element: Element, whole: int, depth: int, text: str) -> str:
    own = f"own {_share(element.own, whole)} {element.own:6d} ms" if element.own else " " * 22
    return f"{_share(element.duration, whole)} {element.duration:6d} ms  {own}  {'  ' * depth}{visible(text)}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole if whole else 0:5.1f} %"
