"""How a call ends that does not end well."""

from __future__ import annotations

OK = 0
NAMES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""gRPC's statuses, each at its number."""


class CallError(Exception):
    """A call did not end well; as text ``UNAVAILABLE: …``.

    Attributes:
        code: the status's name.
        details: the backend's words, or the client's.
    """

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}: {details}")
        self.code = code
        self.details = details


def name(number: int) -> str:
    """The status of that number; ``UNKNOWN`` for one that there is not."""
    return NAMES[number] if 0 <= number < len(NAMES) else "UNKNOWN"
