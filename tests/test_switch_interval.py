"""The interpreter's switch interval: short while something is sampled, then what it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from swprof_mw.profiling.switch_interval import SwitchInterval


@pytest.fixture(autouse=True)
def _usual() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(before)


def test_it_is_short_while_held_and_then_as_before() -> None:
    interval = SwitchInterval(0.5)
    interval.hold()
    assert sys.getswitchinterval() == pytest.approx(0.0005)
    interval.release()
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_holding_twice_does_not_take_the_short_one_for_the_apps_own() -> None:
    interval = SwitchInterval(0.5)
    interval.hold()
    interval.hold()
    interval.release()
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_releasing_what_is_not_held_changes_nothing() -> None:
    interval = SwitchInterval(0.5)
    interval.release()
    interval.hold()
    interval.release()
    interval.release()
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_zero_leaves_it_alone() -> None:
    interval = SwitchInterval(0)
    interval.hold()
    assert sys.getswitchinterval() == pytest.approx(0.005)
    interval.release()
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_an_interval_that_is_shorter_already_is_left_alone() -> None:
    sys.setswitchinterval(0.0001)
    interval = SwitchInterval(0.5)
    interval.hold()
    interval.release()
    assert sys.getswitchinterval() == pytest.approx(0.0001)


def test_what_the_app_sets_meanwhile_stays() -> None:
    interval = SwitchInterval(0.5)
    interval.hold()
    sys.setswitchinterval(0.002)
    interval.release()
    assert sys.getswitchinterval() == pytest.approx(0.002)


def test_an_interval_that_is_no_whole_number_of_microseconds_is_put_back_too() -> None:
    interval = SwitchInterval(0.3333)
    interval.hold()
    assert sys.getswitchinterval() == pytest.approx(0.000333, rel=0.01)
    interval.release()
    assert sys.getswitchinterval() == pytest.approx(0.005)
