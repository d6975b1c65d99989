"""The names that the backend sees: services, instances, endpoints."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")

SERVICE_LENGTH = 70
INSTANCE_LENGTH = 70
ENDPOINT_LENGTH = 150

UNMATCHED = "<unmatched>"
OTHER = "<other>"

#: An app whose router we do not know gets at most this many names out of its paths.
GUESSED_NAMES = 1000
#: Names kept ready; more distinct routes than that are named anew each time.
MEMO = 10_000

#: Of a path that a stranger thought up: a longer one of an app whose router we do not know is ``OTHER``.
_LONGEST_PATH = 4_096
#: Any other method is ``OTHER`` in names: a stranger may think up as many as he likes.
_METHODS = (
    frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY", "PURGE"})
    | frozenset({"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "ACL", "REPORT", "SEARCH"})
    | frozenset({"MKCALENDAR", "MERGE", "CHECKOUT", "MKACTIVITY", "LINK", "UNLINK", "NOTIFY", "SUBSCRIBE", "M-SEARCH"})
)

_DIGEST = 8
_IDENTIFIER = re.compile(
    r"[0-9]+|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|(?=[a-fA-F]*[0-9])[0-9a-fA-F]{8,}"
)


def cut(name: str, length: int) -> str:
    """``name`` in at most ``length`` characters: a longer one ends in a short hash of the whole.

    The backend cuts too, but asks for tasks by the uncut name: cut here, both sides always say the same.
    """
    if len(name) <= length:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:_DIGEST]
    return f"{name[: length - _DIGEST - 1]}~{digest}"


class EndpointNames:
    """Routes and paths turned into endpoint names, after ``endpoint_format``.

    Args:
        form: the setting ``endpoint_format``: text with ``{route}`` and perhaps ``{method}``.

    Attributes:
        known: names by route, of those that were named before and whatever their method is; others are for `route`.
    """

    def __init__(self, form: str = "{route}") -> None:
        self._form = form
        self._plain = form == "{route}"
        self.known: dict[str, str] = {}
        self._by_method: dict[tuple[str, str], str] = {}
        self._guessed: set[str] = set()

    def route(self, method: str, template: str) -> str:
        """The name of a resolved route, for example ``/users/<int:uid>``: with one leading slash."""
        if self._plain:
            return self.known.get(template) or _remember(self.known, template, self._resolved(method, template))
        key = self._method(method), template
        return self._by_method.get(key) or _remember(self._by_method, key, self._resolved(method, template))

    def unmatched(self, method: str) -> str:
        """The one name of every request that matches no route."""
        return self._format(method, UNMATCHED)

    def path(self, method: str, path: str) -> str:
        """The name of one raw path: what a task for ``/users/7`` asks for."""
        return self._format(method, path)

    def guess(self, method: str, path: str) -> str:
        """A name out of a path, for an app whose router we do not know: numbers, UUIDs and hex become ``{id}``."""
        if len(path) > _LONGEST_PATH:
            return self._format(method, OTHER)
        parts = ("{id}" if _IDENTIFIER.fullmatch(part) else part for part in path.split("/"))
        # Not by way of the memo: it would fill up with paths that strangers think up.
        name = self._resolved(method, "/".join(parts))
        if name not in self._guessed:
            if len(self._guessed) >= GUESSED_NAMES:
                return self._format(method, OTHER)
            self._guessed.add(name)
        return name

    def _resolved(self, method: str, template: str) -> str:
        return self._format(method, template if template.startswith("/") else f"/{template}")

    def _format(self, method: str, route: str) -> str:
        if self._plain:
            return cut(route, ENDPOINT_LENGTH)
        return cut(self._form.replace("{method}", self._method(method)).replace("{route}", route), ENDPOINT_LENGTH)

    @staticmethod
    def _method(method: str) -> str:
        return method if method in _METHODS else OTHER


def _remember(names: dict[K, str], key: K, name: str) -> str:
    if len(names) < MEMO:
        names[key] = name
    return name


def instance_name(given: str, host: str, process_id: int, token: Callable[[], str]) -> str:
    """The name of this process as an instance: ``NAME@HOST-PID`` for a given name, else ``TOKEN@HOST-PID``."""
    return cut(f"{given or token()}@{host}-{process_id}", INSTANCE_LENGTH)
