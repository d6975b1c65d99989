"""What the sampler may cost: above it the period grows, far below it shrinks again. With clocks set by hand."""

from __future__ import annotations

import pytest

from swprof_mw.profiling.budget import PATIENCE, Budget
from tests.doubles import SECOND


class Scene:
    """A budget of 5 % of a core, and how much the sampler uses.

    Attributes:
        now: monotonic ns.
        used: processor time of the sampler's thread, ns.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100 * SECOND
        self.used = 3 * SECOND
        monkeypatch.setattr("swprof_mw.profiling.budget.time.thread_time_ns", lambda: self.used)
        self.budget = Budget(5.0)
        self.budget.start(self.now)

    def stretch_after(self, percent: float, seconds: float = 1.0, watched: int = 10) -> int:
        """Use so much of a core for so long, watched so often on the way."""
        for _ in range(watched):
            self.now += int(seconds * SECOND / watched)
            self.used += int(seconds * SECOND / watched * percent / 100)
            self.budget.watch(self.now)
        return self.budget.stretch


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Nothing is saved."""
    monkeypatch.setattr("swprof_mw.failures._last", {})
    scene = Scene(monkeypatch)
    scene.budget._saved = 0.0
    return scene


def windows(scene: Scene, percent: float, count: int = 1) -> list[int]:
    """The stretch after each of so many windows, in which so much of a core was used."""
    return [scene.stretch_after(percent, seconds=0.6, watched=1) for _ in range(count)]


def test_within_its_budget_the_period_stays(scene: Scene) -> None:
    assert scene.stretch_after(4.9, seconds=60) == 1


def test_one_dear_window_is_none(scene: Scene) -> None:
    assert windows(scene, 50) + windows(scene, 1) + windows(scene, 50) + windows(scene, 1) == [1, 1, 1, 1]


@pytest.mark.parametrize(("percent", "lasts"), [(6, 10), (7, 5), (10, 2), (15, 1)])
def test_what_was_not_used_may_be_used_later(scene: Scene, percent: float, lasts: float) -> None:
    """Two seconds' worth of 5 %, but for the last window: a short request may be sampled as it was asked for."""
    scene.stretch_after(0, seconds=60)
    assert scene.stretch_after(percent, seconds=lasts - 0.5, watched=100) == 1
    assert scene.stretch_after(percent, seconds=2.0, watched=100) > 1


def test_no_more_is_saved_than_for_a_short_while(scene: Scene) -> None:
    for _ in range(3):
        scene.now += 3_600 * SECOND
        scene.budget.start(scene.now)
    assert scene.stretch_after(10, seconds=2.0 + 2.0, watched=100) > 1


@pytest.mark.parametrize(("percent", "stretch"), [(5.1, 2), (9.9, 2), (18, 4), (21, 8), (40, 8)])
def test_above_its_budget_the_period_is_as_much_longer_as_it_takes(scene: Scene, percent: float, stretch: int) -> None:
    found = [scene.stretch_after(percent / scene.budget.stretch, seconds=0.6) for _ in range(PATIENCE * 4)]
    assert found == [1] * (PATIENCE - 1) + [stretch] * (PATIENCE * 3 + 1)


def test_a_longer_period_that_saves_less_is_lengthened_again(scene: Scene) -> None:
    """The samples took longer than the period, so fewer of them were taken than there should have been."""
    assert windows(scene, 50, PATIENCE)[-1] == 8
    assert windows(scene, 18, PATIENCE)[-1] == 32
    assert windows(scene, 4, 20)[-1] == 32


def test_a_longer_period_is_told_with_the_cost(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    windows(scene, 50, 3 * PATIENCE)
    [record] = caplog.records
    assert "50.0 %" in record.getMessage()
    assert "5.0 %" in record.getMessage()
    assert "8 times" in record.getMessage()


def test_far_below_its_budget_the_period_goes_back_step_by_step(scene: Scene) -> None:
    assert windows(scene, 18, PATIENCE)[-1] == 4
    assert windows(scene, 0.5, 3) == [2, 1, 1]


def test_where_half_the_period_would_be_too_dear_it_does_not_swing(scene: Scene) -> None:
    windows(scene, 6, PATIENCE)
    assert set(windows(scene, 3, 20)) == {2}


def test_there_is_an_end_to_it(scene: Scene) -> None:
    assert scene.stretch_after(100, seconds=3600, watched=3600) == 256


def test_a_moment_is_too_short_to_judge_by(scene: Scene) -> None:
    assert scene.stretch_after(100, seconds=0.4) == 1


def test_a_pause_does_not_count(scene: Scene) -> None:
    """A minute asleep would make any cost look small."""
    scene.now += 60 * SECOND
    scene.budget.start(scene.now)
    assert windows(scene, 20, PATIENCE)[-1] == 4


def test_short_requests_one_after_another_use_up_what_was_saved(scene: Scene) -> None:
    """Each of them is over before a window is."""
    scene.stretch_after(0, seconds=60)
    for _ in range(20):
        scene.stretch_after(20, seconds=0.4)
        scene.now += SECOND // 10
        scene.budget.start(scene.now)
    assert windows(scene, 20, PATIENCE)[-1] == 4


def test_what_was_used_before_the_start_does_not_count(scene: Scene) -> None:
    scene.used += 10 * SECOND
    scene.budget.start(scene.now)
    assert scene.stretch_after(1, seconds=0.6) == 1
