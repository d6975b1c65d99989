"""A line that says how far something is."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import TextIO

EVERY = 5.0
"""Seconds between two lines where lines stay."""

COLUMNS = 80
"""Of a terminal that does not say."""


class Progress:
    """One line that is written over on a terminal; elsewhere plain lines, some seconds apart."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._last = float("-inf")
        self._width = 0

    def show(self, text: str) -> None:
        """Say where we are."""
        if self._terminal:
            text = text[: _columns(self._stream) - 1]  # one that wraps could not be written over
            self._stream.write("\r" + text.ljust(self._width))
            self._width = len(text)
        elif time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            self._stream.write(text + "\n")
        self._stream.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal's line empty."""
        if self._terminal:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()


def _columns(terminal: TextIO) -> int:
    try:
        return os.get_terminal_size(terminal.fileno()).columns or COLUMNS
    except OSError:
        return COLUMNS
