"""A code signature taken apart: ``FILE.FUNCTION: LINE``, as ``profiling.signature`` writes it, or a mark."""

from __future__ import annotations

import re
from dataclasses import dataclass

from swprof_mw.export.visible import visible

NAMELESS = "(no name)"
"""Stands for an empty code signature: tools take an empty name for none at all."""

WORKING = "working"
MARKS = {"[waiting]": "waiting", "[queued]": "queued"}
"""What a request did that a stack ends in, where it did not work."""

# Both parts may have dots, so the file ends where a known suffix does; or it has no dot, as a script without a suffix.
# ``<frozen runpy>`` and its like are files too. Functions have no slash: what stands before the last one is the path.
_PLACE = re.compile(
    r"(?P<file><[^>]*>|(?:.*/)?(?:[^/]*?\.(?:py[a-z]?|html?|jinja2?|j2|mako|txt|xml)|[^/.]+))\.(?P<function>[^/]+)"
)
_LINE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Frame:
    """Where a line of a profile is. Endpoints and marks such as ``[waiting]`` are a ``function`` alone.

    Attributes:
        function: its qualified name; never empty, and printable.
        file: its path, printable; empty if there is none.
        line: from 1; 0 if there is none.
    """

    function: str
    file: str = ""
    line: int = 0


def frame(code_signature: str) -> Frame:
    """The parts of a code signature; all of it is the function if it has another form."""
    shown = visible(code_signature) or NAMELESS
    place, _, line = shown.rpartition(": ")
    found = _PLACE.fullmatch(place) if _LINE.fullmatch(line) else None
    return Frame(found["function"], found["file"], int(line)) if found else Frame(shown)


def kind(code_signature: str) -> str:
    """What a frame's own time is: ``working``, ``waiting`` or ``queued``."""
    return MARKS.get(code_signature, WORKING)
