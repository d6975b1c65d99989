"""Command lines that a page tells its reader to type, taken apart as a shell would."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

#: What stands where a reader puts something of their own.
PLACEHOLDER = "…"

_VARIABLE = re.compile(r"[A-Za-z_]\w*=")
_WORDS_OF_THE_SHELL = {"while", "for", "do", "done", "then"}
_REDIRECTIONS = {">", ">>", "<", "2>"}


class Command(NamedTuple):
    """One program with its arguments.

    Attributes:
        variables: of the environment, set for it alone.
        program: its name; empty where only variables are set.
        arguments: after it.
    """

    variables: dict[str, str]
    program: str
    arguments: list[str]


def typed(code: str) -> list[str]:
    """What is typed at each prompt of a block, one logical line each."""
    lines = code.replace("\\\n", "").splitlines()
    return [line[2:] for line in lines if line.startswith("$ ")]


def shown(code: str) -> list[str]:
    """The lines of a block that the commands print."""
    return [line for line in code.replace("\\\n", "").splitlines() if line and not line.startswith("$ ")]


def taken_apart(line: str) -> Iterator[Command]:
    """The commands of a line: those of a pipeline, of a loop."""
    words: list[str] = []
    for word in [*_tokens(line), ";"]:
        if set(word) <= set("|&;"):
            if words:
                yield _command(words)
            words = []
        elif words or word not in _WORDS_OF_THE_SHELL:
            words.append(word)


def _tokens(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def _command(words: list[str]) -> Command:
    if any(word in _REDIRECTIONS for word in words):
        words = words[: next(at for at, word in enumerate(words) if word in _REDIRECTIONS)]
    count = next((at for at, word in enumerate(words) if not _VARIABLE.match(word)), len(words))
    variables = dict(word.split("=", 1) for word in words[:count])
    program, *arguments = words[count:] or [""]
    return Command(variables, program, arguments)
