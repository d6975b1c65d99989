"""Which requests' segments are sent."""

from __future__ import annotations

from swprof_mw.clock import monotonic_ns

_SAMPLING_WINDOW = 3_000_000_000
#: With ``trace_report=profiled``, how often one segment of each endpoint is sent, so that it can be picked.
SHOWN_EVERY = 600_000_000_000
_ENDPOINTS = 10_000


class TraceFilter:
    """Decides for each finished span whether its segment is sent; a profiled request's is, in any case.

    Args:
        report: the setting ``trace_report``.
        per_window: the setting ``sample_n_per_3_secs``; 0 for all.

    Attributes:
        keeps_all: whether all segments are sent.
        only_profiled: whether segments of requests that were not profiled are sent now and then only.
    """

    def __init__(self, report: str, per_window: int) -> None:
        self.keeps_all = report == "all" and per_window == 0
        self.only_profiled = report == "profiled"
        self._per_window = per_window
        self._window = 0
        self._kept = 0
        self._shown: dict[str, int] = {}

    def keeps(self, endpoint: str) -> bool:
        """Whether the segment of a request of ``endpoint`` that was not profiled is sent."""
        if self.only_profiled:
            return self._first_in_a_while(endpoint)
        return self.keeps_all or self._among_the_first()

    def _first_in_a_while(self, endpoint: str) -> bool:
        now = monotonic_ns()
        if not self.is_due(endpoint, now):
            return False
        if len(self._shown) >= _ENDPOINTS:
            self._shown.clear()
        self._shown[endpoint] = now
        return True

    def is_due(self, endpoint: str, now: int) -> bool:
        """Whether it is time (monotonic ns) to send a segment of this endpoint where only profiled ones are sent."""
        return now >= self.due_at(endpoint)

    def due_at(self, endpoint: str) -> int:
        """From when on (monotonic ns) that is so; 0 if it always was."""
        last = self._shown.get(endpoint)
        return 0 if last is None else last + SHOWN_EVERY

    def _among_the_first(self) -> bool:
        window = monotonic_ns() // _SAMPLING_WINDOW
        if window != self._window:
            self._window, self._kept = window, 0
        self._kept += 1
        return self._kept <= self._per_window
