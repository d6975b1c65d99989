"""Work that goes on until it has been sampled: on a busy machine the sampler may be late, by any time."""

from __future__ import annotations

import time

import swprof_mw
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import EntrySpan

_LONGEST = 15.0


def work(seconds: float) -> None:
    """Keep the processor busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(300))


def spend(seconds: float) -> None:
    """Work so long, and if this is a profiled request, until that was sampled."""
    work(seconds)
    span = current_request.get()
    if isinstance(span, EntrySpan) and span.profiler is not None:
        work_until_sampled(1)


def kept() -> int:
    """How many snapshots of this process were queued so far, those that have been sent included."""
    snapshots = swprof_mw.stats().snapshots
    return snapshots.queued + snapshots.sent


def work_until_sampled(count: int = 3) -> None:
    """Keep the processor busy until so many snapshots have been queued since.

    Raises:
        AssertionError: there were none, for 15 seconds.
    """
    enough, end = kept() + count, time.monotonic() + _LONGEST
    while kept() < enough:
        assert time.monotonic() < end, "nothing is sampled"
        work(0.005)
