"""Django's routes made readable: ``^articles/(?P<year>[0-9]{4})/$`` is ``articles/<year>/``."""

from __future__ import annotations

import re
from functools import lru_cache

from swprof_mw.names import MEMO

#: What stands for a part that varies and has no name.
VARIABLE = "<var>"

# Django does not say whether a route is from path() or from re_path(), and an included one may be from both. A plus or
# a dot alone is more likely meant as it is.
_REGEX = re.compile(r"[\^$\\(\[|*?]|\.\+|\{\d")

_TOKEN = re.compile(
    r"""
      (?P<escape> \\ (?P<escaped>.) )
    | (?P<set> \[ \^? \]? (?:\\.|[^\]\\])* \] )
    | (?P<unclosed> \[ (?:\\.|[^\]\\])* \\? \Z )
    | (?P<reference> \(\?P= (?P<referred>\w+) \) )
    | (?P<nothing> [\^$] | \(\?\# [^)]* (?:\)|\Z) | \(\? [aiLmsux]+ \) )
    | (?P<named> \(\?P< (?P<name>\w+) > )
    | (?P<look> \(\? <? [=!] )
    | (?P<group> \(\? (?: [aiLmsux-]* : | > ) )
    | (?P<unnamed> \( )
    | (?P<end> \) )
    | (?P<alternative> \| )
    | (?P<quantifier> (?: [*+?] | \{\d+(?:,\d*)?\} | \{,\d+\} ) [?+]? )
    | (?P<literal> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_POSITIONS = frozenset("AZzbB")
_KINDS = frozenset("dDwWsS0123456789")
# An unescaped dot, until it is known whether it is repeated: "robots.txt" means a dot, ".*" does not.
_DOT = "\0"


@lru_cache(maxsize=MEMO)
def template(route: str) -> str:
    """What is resolved below the site's own mount, readable, from its first slash on."""
    return "/" + readable(route).lstrip("/")


def readable(route: str) -> str:
    """``route`` without the marks of regular expressions.

    Named groups become ``<name>``, other varying parts ``<var>``. Optional parts are shown as if they were there,
    alternatives as ``(a|b)``; what only looks ahead or behind is left out.
    """
    if not _REGEX.search(route):
        return route
    groups = [_Group("group")]
    for token in _TOKEN.finditer(route):
        _read(token, groups)
    return groups[0].alternatives("{}")


class _Group:
    """A group of a regular expression while it is read; the whole expression is one too."""

    def __init__(self, kind: str, name: str = "") -> None:
        self._kind = kind
        self._name = name
        self._done: list[str] = []
        self._parts: list[str] = []
        self.has_names = bool(name)

    def add(self, part: str) -> None:
        if part != VARIABLE or self._parts[-1:] != [VARIABLE]:
            self._parts.append(part)

    def repeat(self) -> None:
        """A quantifier follows the last part."""
        if self._parts[-1:] == [_DOT]:
            self._parts.pop()
            self.add(VARIABLE)

    def finish_alternative(self) -> None:
        self._done.append("".join(self._parts).replace(_DOT, "."))
        self._parts = []

    def alternatives(self, form: str = "({})") -> str:
        """All that were read, without empty and equal ones; put into ``form`` if they are several."""
        self.finish_alternative()
        found = [text for text in dict.fromkeys(self._done) if text]
        return form.format("|".join(found)) if len(found) > 1 else "".join(found)

    def text(self) -> str:
        """What stands for the group once it is closed."""
        if self._kind == "named":
            return f"<{self._name}>"
        if self._kind == "look":
            return ""
        return self.alternatives() if self._kind == "group" or self.has_names else VARIABLE


def _read(token: re.Match[str], groups: list[_Group]) -> None:
    """Take the next piece of a regular expression in; ``groups`` are the open ones, outermost first."""
    kind, group = token.lastgroup or "", groups[-1]
    if kind in ("named", "look", "group", "unnamed"):
        groups.append(_Group(kind, token["name"] or ""))
    elif kind == "end" and len(groups) > 1:
        groups.pop()
        groups[-1].has_names |= group.has_names
        groups[-1].add(group.text())
    elif kind == "alternative":
        group.finish_alternative()
    elif kind == "quantifier":
        group.repeat()
    else:
        group.add(_piece(kind, token))


def _piece(kind: str, token: re.Match[str]) -> str:
    """What stands for a single character or a set of them."""
    if kind == "escape":
        escaped = token["escaped"]
        return "" if escaped in _POSITIONS else VARIABLE if escaped in _KINDS else escaped
    if kind == "set":
        only = re.fullmatch(r"\[(?:\\(\W)|([^\\]))\]", token[0])
        return only[1] or only[2] if only else VARIABLE
    if kind == "reference":
        return f"<{token['referred']}>"
    return "" if kind == "nothing" else token[0].replace(".", _DOT)
