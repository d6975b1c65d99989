"""Names that strangers chose, made harmless to print."""

from __future__ import annotations


def visible(text: str) -> str:
    r"""``text`` with whatever does not print written as an escape: ``\n``, ``\x1b``, ``\u202e``, ``\ud800``.

    What is left has no line ends, no control characters, none that turn the direction of writing, and can be encoded.
    A backslash stays one: paths of Windows have them.
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
