"""Colours, where text is written to a terminal."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TextIO

BOLD, DIM = "1", "2"
RED, YELLOW, MAGENTA, CYAN = "31", "33", "35", "36"


@dataclass(frozen=True)
class Paint:
    """Puts text into colours, or leaves it as it is."""

    on: bool = False

    def __call__(self, text: str, *styles: str) -> str:
        """The text in these styles; without any, as it is."""
        return f"\x1b[{';'.join(styles)}m{text}\x1b[0m" if self.on and styles else text


PLAIN = Paint()


def paint_for(stream: TextIO) -> Paint:
    """Colours for a terminal, unless ``NO_COLOR`` is set or ``TERM`` is ``dumb``."""
    unwanted = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Paint(stream.isatty() and not unwanted)
