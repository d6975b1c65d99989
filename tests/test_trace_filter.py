"""Which requests' segments are sent, with a clock set by hand."""

from __future__ import annotations

import pytest

from swprof_mw import trace_filter
from swprof_mw.trace_filter import TraceFilter
from tests.doubles import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    found = FakeClock(monkeypatch, ["swprof_mw.trace_filter"])
    found.now = 3_000_000_000 * 1_000  # a window begins
    return found


def test_all_is_sent_unless_something_else_is_asked_for(clock: FakeClock) -> None:
    every = TraceFilter("all", 0)
    assert all(every.keeps("/x") for _ in range(10_000))


def test_so_many_are_sent_in_three_seconds_and_then_again(clock: FakeClock) -> None:
    some = TraceFilter("all", 2)
    assert [some.keeps("/x") for _ in range(5)] == [True, True, False, False, False]
    clock.advance(2.9)
    assert not some.keeps("/y")
    clock.advance(0.1)
    assert [some.keeps("/x") for _ in range(3)] == [True, True, False]
    clock.advance(300)
    assert [some.keeps("/x") for _ in range(3)] == [True, True, False]


def test_with_only_profiled_requests_each_endpoint_is_shown_once_in_ten_minutes(clock: FakeClock) -> None:
    shown = TraceFilter("profiled", 0)
    assert [shown.keeps("/x") for _ in range(3)] == [True, False, False]
    assert [shown.keeps("/y") for _ in range(3)] == [True, False, False]
    clock.advance(599.9)
    assert not shown.keeps("/x")
    clock.advance(0.1)
    assert [shown.keeps(name) for name in ("/x", "/x", "/y", "/y")] == [True, False, True, False]


def test_what_is_shown_does_not_depend_on_the_sampling(clock: FakeClock) -> None:
    shown = TraceFilter("profiled", 1)
    assert [shown.keeps(f"/{number}") for number in range(5)] == [True] * 5


def test_endpoints_without_end_are_not_remembered_without_end(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_filter, "_ENDPOINTS", 10)
    shown = TraceFilter("profiled", 0)
    assert all(shown.keeps(f"/{number}") for number in range(100))
    assert len(shown._shown) <= 10
