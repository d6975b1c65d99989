"""Work that goes on until it has been sampled: on a busy machine the sampler may be late, by any time."""

from __future__ import annotations

import time

import swprof_mw

_LONGEST = 15.0


def work(seconds: float) -> None:
    """Keep the processor busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(300))


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
