"""The stretch of time a query asks for: GraphQL's ``Duration``, in the server's time zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

FORMATS = {
    "DAY": ("%Y-%m-%d", timedelta(days=1)),
    "HOUR": ("%Y-%m-%d %H", timedelta(hours=1)),
    "MINUTE": ("%Y-%m-%d %H%M", timedelta(minutes=1)),
    "SECOND": ("%Y-%m-%d %H%M%S", timedelta(seconds=1)),
}


@dataclass(frozen=True)
class Period:
    """From ``start`` to before ``end``, ms since the epoch."""

    start: int
    end: int

    def holds(self, time: int) -> bool:
        """Whether ``time`` is inside."""
        return self.start <= time < self.end

    def meets(self, first: int, last: int) -> bool:
        """Whether any of the time from ``first`` to ``last`` is inside."""
        return first < self.end and last >= self.start


def parse(duration: Mapping[str, str]) -> Period:
    """The period of a ``Duration``'s ``start``, ``end`` and ``step``; the step that ``end`` names is inside.

    Raises ``ValueError`` for a text that does not have the step's form.
    """
    form, step = FORMATS[duration["step"]]
    start = datetime.strptime(duration["start"], form)
    end = datetime.strptime(duration["end"], form) + step
    return Period(_ms(start), _ms(end))


def _ms(local: datetime) -> int:
    return int(local.timestamp() * 1000)
