"""An OAP somewhere, as what the page shows: queries are passed on to it, and to nothing else."""

from __future__ import annotations

import json

from swprof_mw.page.questions import Question
from swprof_mw.page.source import Answer, as_json, refusal
from swprof_mw.query.client import OapClient
from swprof_mw.query.transport import Reply, Transport

UNREACHABLE = 502
"""The status if the OAP does not answer as one does."""

_OURS = frozenset({401, 403, 407})
"""Refusals of what this server showed, not of what the browser did."""


class Upstream:
    """Asks the OAP at ``url``. What it passes on is the query alone: none of the asker's headers, no other path.

    Args:
        url: where it is.
        authorization: the ``Authorization`` header to show there; empty: none.

    Raises:
        ValueError: ``url`` is not http(s).
    """

    def __init__(self, url: str, authorization: str = "") -> None:
        self._transport = Transport(url, authorization)
        self.queries = OapClient(url, authorization=authorization)

    @property
    def url(self) -> str:
        """Its address, without ``/graphql``."""
        return self._transport.base

    def answer(self, question: Question) -> Answer:
        """What the OAP answers, or why it does not. Raises ``OapError`` if it cannot be reached."""
        asked = {"query": question.query, "variables": question.variables, "operationName": question.operation}
        reply = self._transport.post(as_json({name: value for name, value in asked.items() if value is not None}))
        if reply.status in _OURS:
            return self._refusal(reply, "; are the token, or the name and the password, right?")
        if 300 <= reply.status < 400 or not _is_json(reply.content):
            return self._refusal(reply, ", not as an OAP does")
        return Answer(reply.status, reply.content)

    def _refusal(self, reply: Reply, what: str) -> Answer:
        return Answer(UNREACHABLE, refusal(f"{self._transport.url} answers {reply.status} {reply.reason}{what}"))


def _is_json(content: bytes) -> bool:
    """Whether a browser reads it, too."""
    try:
        json.loads(content.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _no_constant(name: str) -> None:
    raise ValueError(name)
