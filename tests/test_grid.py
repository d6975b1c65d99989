"""Ticks: one in each period, never far apart, in step with nothing that the app does."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swprof_mw.profiling.grid import next_deadline
from tests.doubles import MS, SECOND

MOMENTS = st.integers(0, 10**17)
PERIODS = st.integers(10, 60_000).map(lambda ms: ms * MS)


def ticks(now: int, period: int, count: int) -> list[int]:
    """The ticks that follow ``now``."""
    found = []
    for _ in range(count):
        now = next_deadline(now, period)
        found.append(now)
    return found


@given(MOMENTS, PERIODS)
@settings(deadline=None, database=None)
def test_the_next_tick_is_later_and_soon(now: int, period: int) -> None:
    assert 0 < next_deadline(now, period) - now <= 1.24 * period


@given(MOMENTS, PERIODS)
@settings(deadline=None, database=None)
def test_there_is_one_tick_in_each_period_and_no_long_gap(now: int, period: int) -> None:
    found = ticks(now, period, 50)
    indexes = [tick // period for tick in found]
    assert indexes == list(range(indexes[0], indexes[0] + 50))
    assert all(0 < other - one <= 1.24 * period for one, other in pairwise(found))


@given(MOMENTS, PERIODS, st.lists(st.floats(0, 0.2), min_size=20, max_size=20))
@settings(deadline=None, database=None)
def test_a_sampler_that_is_always_late_does_not_drift(now: int, period: int, late: list[float]) -> None:
    on_time = ticks(now, period, len(late))
    for deadline, share in zip(on_time, late, strict=True):
        now = next_deadline(now, period)
        assert now == deadline
        now += int(share * period)


@given(MOMENTS, PERIODS, st.integers(1, 20))
@settings(deadline=None, database=None)
def test_after_a_stall_the_missed_ticks_are_not_made_up_for(now: int, period: int, stalled: int) -> None:
    deadline = next_deadline(now, period)
    later = deadline + stalled * period
    assert next_deadline(later, period) - later <= 1.24 * period


@pytest.mark.parametrize("rhythm", [MS, 5 * MS, 10 * MS, 20 * MS, 100 * MS])
def test_ticks_meet_every_phase_of_the_apps_rhythms_alike(rhythm: int) -> None:
    """Whatever the app does every 10 ms is met in each tenth of its cycle by a tenth of the ticks."""
    phases = [0] * 10
    found = ticks(7 * SECOND, 10 * MS, 5_000)
    for tick in found:
        phases[tick % rhythm * 10 // rhythm] += 1
    assert max(phases) - min(phases) < 0.02 * len(found)
