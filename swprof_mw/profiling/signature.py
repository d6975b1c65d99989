"""Places in code turned into the text that the backend shows: ``FILE.FUNCTION: LINE``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import CodeType

#: A place in code: the code object and the offset of the instruction in it (``f_lasti``), in bytes.
Position = tuple[CodeType, int]

#: Places whose text is kept ready. When there are more, all are forgotten and found anew.
CACHE = 20_000

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class CodeSignatures:
    """Texts of positions, from a bounded cache.

    Args:
        form: the setting ``code_signature``: ``short`` for the path below its entry of ``sys.path``, ``full`` for the
            whole path.
    """

    def __init__(self, form: str = "short") -> None:
        self._short = form == "short"
        # By the code's id, since hashing a code object reads all of it; the code is held, so ids stay unique.
        self._codes: dict[int, tuple[CodeType, str, dict[int, str]]] = {}
        self._size = 0

    def texts(self, positions: Sequence[Position]) -> list[str]:
        """The texts of a stack's positions, one each; empty for a frame of this package, which is not the app's."""
        codes = self._codes
        found = []
        for code, offset in positions:
            known = codes.get(id(code))
            text = known[2].get(offset) if known is not None else None
            found.append(self._describe(code, offset) if text is None else text)
        return found

    def _describe(self, code: CodeType, offset: int) -> str:
        if self._size >= CACHE:
            self._codes.clear()
            self._size = 0
        known = self._codes.get(id(code))
        if known is None:
            known = self._codes[id(code)] = (code, self._prefix(code), {})
        _, prefix, texts = known
        text = texts[offset] = f"{prefix}: {line_number(code, offset)}" if prefix else ""
        self._size += 1
        return text

    def _prefix(self, code: CodeType) -> str:
        """``FILE.FUNCTION`` with the qualified name where Python has it (3.11 on); empty for code of this package."""
        if code.co_filename.startswith(_OURS):
            return ""
        path = shorten(code.co_filename) if self._short else code.co_filename
        return f"{path}.{getattr(code, 'co_qualname', code.co_name)}"


def shorten(path: str) -> str:
    """``path`` below the longest entry of ``sys.path`` that holds it; unchanged if none does."""
    # Only text counts there, as for imports: an app may have put a Path in.
    entries = (entry.rstrip(os.sep) + os.sep for entry in sys.path if isinstance(entry, str) and entry)
    longest = max((entry for entry in entries if path.startswith(entry)), key=len, default="")
    return path[len(longest) :]


def line_number(code: CodeType, offset: int) -> int:
    """The line of the instruction at ``offset`` (bytes).

    Some have none: a jump back, where a loop lets others run, then is at the line it leads to; the rest are at the
    function's first.
    """
    line = _line(code, offset)
    if line is None:
        line = _line(code, _target(code, offset))
    return code.co_firstlineno if line is None else line


def _line(code: CodeType, offset: int) -> int | None:
    return next((line for start, end, line in code.co_lines() if start <= offset < end and line is not None), None)


def _target(code: CodeType, offset: int) -> int:
    """Where the instruction at ``offset`` jumps to; -1 if it does not."""
    import dis  # rarely needed, and slower to import than all of this module

    jumps = {*dis.hasjrel, *dis.hasjabs}
    found = (each for each in dis.get_instructions(code) if each.offset == offset)
    return next((each.argval for each in found if each.opcode in jumps), -1)
