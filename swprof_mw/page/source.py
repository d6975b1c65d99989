"""Where the page's server has its answers from: a store in this process, or an OAP somewhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from swprof_mw.page.questions import Question
from swprof_mw.query.client import Queries


@dataclass(frozen=True)
class Answer:
    """An HTTP status and JSON."""

    status: int
    content: bytes


class Source(Protocol):
    """What the page asks. Safe to use from any thread, and may take its time."""

    def answer(self, question: Question) -> Answer:
        """The answer to a GraphQL query as it stands."""

    @property
    def queries(self) -> Queries:
        """The same, for exports."""


def as_json(value: Any) -> bytes:
    """``value`` as JSON that every browser reads: a lone surrogate is an escape in it."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def refusal(why: str) -> bytes:
    """An error as GraphQL tells of one."""
    return as_json({"errors": [{"message": why}]})
