"""A profile's tree as lines of text. Pure functions; all durations are ms."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from swprof_mw.cli.paint import BOLD, CYAN, DIM, MAGENTA, PLAIN, YELLOW, Paint
from swprof_mw.export.frame import MARKS, kind
from swprof_mw.export.visible import visible
from swprof_mw.query.client import Element

FRAMEWORKS = frozenset(
    [
        "a2wsgi",
        "anyio",
        "asgiref",
        "bottle",
        "django",
        "falcon",
        "fastapi",
        "flask",
        "gevent",
        "gunicorn",
        "h11",
        "hypercorn",
        "litestar",
        "pyramid",
        "quart",
        "rest_framework",
        "sanic",
        "sniffio",
        "starlette",
        "swprof_mw",
        "trio",
        "uvicorn",
        "uvloop",
        "waitress",
        "webob",
        "werkzeug",
    ]
)
"""Packages between a server and the application's own code."""

FOLDED_FROM = 2
"""Frames; a single one is as short as the line that would stand for it."""

LEAST_SHARE = 0.005
"""Of the whole; what is smaller is noise of the sampling and left out, unless all is asked for."""

MUCH = 0.1
"""Of the whole; frames with so much time of their own stand out."""

COLOURS = {"working": YELLOW, "waiting": CYAN, "queued": MAGENTA}
"""Of the time of a frame's own, by what it is."""

_PLACE = re.compile(r"(?:^|.*/)(?:site-packages|dist-packages|lib/python3[^/]*)/")


@dataclass
class _Node:
    element: Element
    children: list[_Node] = field(default_factory=list)


def render(elements: Iterable[Element], whole: int, *, full: bool = False, paint: Paint = PLAIN) -> list[str]:
    """The lines of one tree: share of the whole and ms of each node, the same of its own part, and its frame.

    Args:
        elements: of one tree, in any order.
        whole: what 100 % is; the request's duration.
        full: show every frame, however short, and fold none.
        paint: for colours.
    """
    lines: list[str] = []
    waiting = [(root, 0) for root in reversed(_roots(elements))]
    least = 0.0 if full else whole * LEAST_SHARE
    while waiting:  # not recursive: stacks may be as deep as Python's own limit
        node, depth = waiting.pop()
        chain = [] if full else _chain(node)
        if len(chain) >= FOLDED_FROM:
            frame = paint(f"… {len(chain)} framework frames", DIM)
            lines.append(_line(node.element, whole, depth, frame, paint))
            waiting.append((chain[-1].children[0], depth + 1))
            continue
        lines.append(_line(node.element, whole, depth, _frame(node.element, whole, paint), paint))
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


def _line(element: Element, whole: int, depth: int, frame: str, paint: Paint) -> str:
    own = f"own {_share(element.own, whole)} {element.own:6d} ms" if element.own else " " * 22
    own = paint(own, *_style(element, whole)) if element.own else own
    return f"{_share(element.duration, whole)} {element.duration:6d} ms  {own}  {'  ' * depth}{frame}"


def _frame(element: Element, whole: int, paint: Paint) -> str:
    """Marks have the colour of what they say, the framework's frames are dim, those with much own time stand out."""
    text = element.code_signature
    if text in MARKS:
        return paint(text, *_style(element, whole))
    if is_framework(text):
        return paint(visible(text), DIM)
    return paint(visible(text), *([BOLD] if element.own >= MUCH * whole else []))


def _style(element: Element, whole: int) -> tuple[str, ...]:
    """Of the time that is a frame's own."""
    colour = COLOURS[kind(element.code_signature)]
    return (BOLD, colour) if element.own >= MUCH * whole else (colour,)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole if whole else 0:5.1f} %"
