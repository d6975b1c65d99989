"""Which profile tasks run in this process, and when: with a clock set by hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

import pytest

from swprof_mw.profiling.execution import ProfileTaskExecutionContext
from swprof_mw.profiling.sampler import Sampler
from swprof_mw.profiling.service import ProfileTaskExecutionService
from swprof_mw.profiling.task import InvalidTask, ProfileTask
from swprof_mw.records import TaskCommand
from tests.doubles import EPOCH_MS, SECOND, FakeClock, IdleSampler, PlainSpan, command
from tests.recorded import profile_task

MODULES = ["swprof_mw.clock", "swprof_mw.profiling.service", "swprof_mw.profiling.execution"]
MINUTE = 60.0


class Scene:
    """A service with a clock, a sampler that does nothing, and what the service reported as finished."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FakeClock(monkeypatch, MODULES)
        monkeypatch.setattr("swprof_mw.profiling.service.wall_ms", lambda: self.clock.wall)
        self.sampler = IdleSampler()
        self.finished: list[str] = []
        self.service = ProfileTaskExecutionService(cast(Sampler, self.sampler), self.finished.append)

    def task(self, name: str, starts_in: float = 0.0, created_in: float = 0.0, duration: int = 1) -> TaskCommand:
        """A command for the endpoint ``/NAME``; times in seconds from now, by the backend's clock."""
        now = self.clock.wall
        return command(
            SerialNumber=f"serial-{name}",
            TaskId=name,
            EndpointName=f"/{name}",
            Duration=str(duration),
            StartTime=str(now + int(starts_in * 1000)),
            CreateTime=str(now + int(created_in * 1000)),
        )

    def receive(self, *commands: TaskCommand, first: bool = False) -> None:
        """An answered poll."""
        self.service.receive(list(commands), first)

    @property
    def current(self) -> str | None:
        """The id of the current task."""
        context = self.service.current
        return context.task.task_id if context is not None else None

    def matches(self, endpoint: str) -> bool:
        """Whether a request of this endpoint that begins now is profiled."""
        span = PlainSpan("segment")
        self.service.add_profiling(span, endpoint)
        return span.profiler is not None

    def runs_for(self, endpoint: str) -> float:
        """Seconds until requests of the endpoint are profiled no more; moves the clock there."""
        began = self.clock.now
        while self.matches(endpoint):
            self.clock.advance(1)
            assert self.clock.now - began < 3600 * SECOND
            self.service.process_profile_task()
        return (self.clock.now - began) / SECOND

    def context(self) -> ProfileTaskExecutionContext:
        """The current task's run."""
        assert self.service.current is not None
        return self.service.current


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# What is received.


def test_a_task_profiles_its_endpoint_and_no_other(scene: Scene) -> None:
    assert not scene.matches("/a")
    scene.receive(scene.task("a"))
    assert scene.matches("/a")
    assert not scene.matches("/b")
    assert not scene.matches("/A")


def test_unknown_commands_are_ignored(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.receive(TaskCommand("ConfigurationDiscovery", {}), command(name="profiletaskquery"))
    assert scene.current is None
    assert scene.service.last_command_time == -1
    assert not warnings(caplog)


def test_a_bad_task_does_not_keep_the_next_one_from_running(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.receive(command(SerialNumber="bad", TaskId="bad", Duration="16"), scene.task("good"))
    assert scene.current == "good"
    [line] = warnings(caplog)
    assert "bad" in line
    assert "16" in line


@pytest.mark.parametrize("serial", [{"SerialNumber": "bad"}, {"SerialNumber": ""}, {}])
def test_a_bad_task_is_logged_once_however_often_it_is_sent(
    scene: Scene, caplog: pytest.LogCaptureFixture, serial: dict[str, str]
) -> None:
    arguments = {**command(Duration="16").arguments, **serial}
    if not serial:
        del arguments["SerialNumber"]
    for _ in range(3):
        scene.receive(TaskCommand("ProfileTaskQuery", arguments))
    assert len(warnings(caplog)) == 1


def test_a_task_that_was_carried_out_is_not_carried_out_again(scene: Scene) -> None:
    task = scene.task("a")
    scene.receive(task)
    scene.clock.advance(MINUTE)
    scene.service.process_profile_task()
    assert scene.finished == ["a"]
    scene.receive(task)
    scene.receive(scene.task("a", starts_in=5))  # known by its serial number, whatever else it says
    assert scene.current is None
    assert scene.finished == ["a"]


def test_the_same_task_twice_in_one_answer_runs_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.receive(scene.task("a"), scene.task("a"))
    assert scene.current == "a"
    assert not warnings(caplog)


def test_the_last_command_time_is_the_newest_creation_seen(scene: Scene) -> None:
    scene.receive(scene.task("a", created_in=-1))
    assert scene.service.last_command_time == EPOCH_MS - 1000
    scene.receive(scene.task("b", starts_in=100, created_in=0))
    scene.receive(scene.task("c", starts_in=200, created_in=-2))
    assert scene.service.last_command_time == EPOCH_MS


def test_a_task_that_is_refused_for_its_times_counts_for_the_last_command_time(scene: Scene) -> None:
    scene.receive(scene.task("old", starts_in=-120, created_in=-120), first=True)
    assert scene.service.last_command_time == EPOCH_MS - 120_000


# Overlap.


def test_a_task_at_the_same_time_is_refused_with_the_reason(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.receive(scene.task("a"), scene.task("b", starts_in=59))
    assert scene.current == "a"
    [line] = warnings(caplog)
    assert "overlaps" in line
    assert "b" in line
    scene.clock.advance(MINUTE)
    scene.service.process_profile_task()
    assert scene.current is None


def test_tasks_that_follow_each_other_all_run_each_in_its_time(scene: Scene) -> None:
    scene.receive(scene.task("a"), scene.task("c", starts_in=120), scene.task("b", starts_in=60))
    ran = []
    for _ in range(180):
        ran += [name for name in "abc" if scene.matches(f"/{name}")]
        scene.clock.advance(1)
        scene.service.process_profile_task()
    assert ran == ["a"] * 60 + ["b"] * 60 + ["c"] * 60
    assert scene.finished == ["a", "b", "c"]


def test_a_task_of_now_runs_though_one_of_the_future_came_first(scene: Scene) -> None:
    scene.receive(scene.task("later", starts_in=240))
    scene.clock.advance(20)
    scene.receive(scene.task("now", starts_in=-1, created_in=-1))
    assert scene.matches("/now")
    scene.clock.advance(MINUTE)
    scene.service.process_profile_task()
    assert scene.finished == ["now"]
    scene.clock.advance(160)
    assert scene.matches("/later")


def test_a_task_created_when_the_one_before_was_over_runs_though_it_came_quickly(scene: Scene) -> None:
    scene.receive(first=True)
    scene.clock.advance(20)
    scene.receive(scene.task("a", starts_in=-18, created_in=-18))
    scene.clock.advance(43)
    scene.receive(scene.task("b", starts_in=-1, created_in=-1))
    scene.clock.advance(20)
    scene.service.process_profile_task()
    assert scene.matches("/b")


# Starting and ending.


def test_a_task_of_the_future_waits_for_its_start(scene: Scene) -> None:
    scene.receive(scene.task("a", starts_in=90))
    assert not scene.matches("/a")
    scene.clock.advance(89.9)
    assert not scene.matches("/a")
    scene.clock.advance(0.1)
    assert scene.matches("/a")
    assert scene.runs_for("/a") == 60


def test_a_task_ends_after_its_duration_and_is_reported_once(scene: Scene) -> None:
    scene.receive(scene.task("a", duration=2))
    context = scene.context()
    scene.clock.advance(119.9)
    scene.service.process_profile_task()
    seen = [(scene.current, context.stopped)]
    scene.clock.advance(0.1)
    for _ in range(3):
        scene.service.process_profile_task()
    seen.append((scene.current, context.stopped))
    assert seen == [("a", False), (None, True)]
    assert scene.finished == ["a"]


def test_a_request_that_begins_after_the_end_is_not_profiled_even_before_anybody_noticed(scene: Scene) -> None:
    scene.receive(scene.task("a"))
    scene.clock.advance(MINUTE)
    assert not scene.matches("/a")


def test_a_task_ends_early_when_its_count_is_used_up_and_the_last_slot_is_back(scene: Scene) -> None:
    scene.service.add_profile_task(profile_task("/a", max_sampling_count=2, start_time=EPOCH_MS, create_time=EPOCH_MS))
    context = scene.context()
    for _ in range(2):
        assert context.reserve()
        context.use()
    scene.sampler.busy.add(context)
    scene.service.process_profile_task()
    assert scene.finished == []
    scene.sampler.busy.clear()
    scene.service.process_profile_task()
    assert scene.finished == [context.task.task_id]


def test_stopping_a_task_that_is_not_current_any_more_changes_nothing(scene: Scene) -> None:
    scene.receive(scene.task("a"))
    context = scene.context()
    for _ in range(2):
        scene.service.stop_current_profile_task(context)
    assert scene.finished == ["a"]


def test_a_task_whose_wait_was_longer_than_its_time_is_reported_as_finished(scene: Scene) -> None:
    scene.receive(scene.task("a"), scene.task("b", starts_in=60))
    scene.clock.advance(600)
    for _ in range(2):
        scene.service.process_profile_task()
    assert scene.finished == ["a", "b"]
    assert scene.service.current is None


def test_a_jump_of_the_wall_clock_moves_no_task(scene: Scene) -> None:
    scene.receive(scene.task("a"), scene.task("b", starts_in=100))
    scene.clock.wall += 7_200_000
    assert scene.runs_for("/a") == 60
    scene.clock.advance(40)
    assert scene.matches("/b")


def test_a_request_that_is_profiled_already_is_not_matched_again(scene: Scene) -> None:
    scene.receive(scene.task("a"))
    span = PlainSpan("segment")
    scene.service.add_profiling(span, "/a")
    profiler = span.profiler
    scene.service.profiling_recheck(span, "/a")
    assert span.profiler is profiler
    assert len(scene.sampler.taken) == 1


def test_a_request_may_match_by_its_route_though_its_path_did_not(scene: Scene) -> None:
    scene.receive(scene.task("a"))
    span = PlainSpan("segment")
    scene.service.add_profiling(span, "/a/7")
    assert span.profiler is None
    scene.service.profiling_recheck(span, "/a")
    assert span.profiler is not None


# Clocks that differ.


@pytest.mark.parametrize("age", [61, 120, 280])
def test_on_the_first_poll_what_is_over_is_not_run(scene: Scene, caplog: pytest.LogCaptureFixture, age: float) -> None:
    scene.receive(scene.task("a", starts_in=-age, created_in=-age), first=True)
    assert scene.current is None
    assert "over" in warnings(caplog)[0]
    assert scene.finished == []


def test_on_the_first_poll_what_runs_already_runs_for_what_is_left(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.receive(scene.task("a", starts_in=-100, created_in=-100, duration=5), first=True)
    assert scene.runs_for("/a") == 200
    assert not warnings(caplog)


def test_on_the_first_poll_what_is_to_come_waits(scene: Scene) -> None:
    scene.receive(scene.task("a", starts_in=30, created_in=-500), first=True)
    assert not scene.matches("/a")
    scene.clock.advance(30)
    assert scene.runs_for("/a") == 60


def polled(scene: Scene, interval: float = 20) -> None:
    """One poll was answered, without a task, an interval ago."""
    scene.receive(first=True)
    scene.clock.advance(interval)


@pytest.mark.parametrize("behind", [600, 3_600, 86_400 * 365])
def test_a_fresh_task_of_a_backend_whose_clock_is_behind_runs_its_duration_from_receipt(
    scene: Scene, caplog: pytest.LogCaptureFixture, behind: float
) -> None:
    polled(scene)
    scene.receive(scene.task("a", starts_in=-behind, created_in=-behind))
    assert scene.runs_for("/a") == 60
    assert any("clock" in line and "behind" in line for line in warnings(caplog))


@pytest.mark.parametrize("ahead", [10, 600, 86_400 * 365])
def test_a_fresh_task_of_a_backend_whose_clock_is_ahead_runs_its_duration_from_receipt(
    scene: Scene, caplog: pytest.LogCaptureFixture, ahead: float
) -> None:
    polled(scene)
    scene.receive(scene.task("a", starts_in=ahead, created_in=ahead))
    assert scene.runs_for("/a") == 60
    assert any("clock" in line and "ahead" in line for line in warnings(caplog))


@pytest.mark.parametrize("age", [0, 4, 19, 30])
def test_a_task_that_only_waited_for_the_next_poll_says_nothing_of_the_clocks(
    scene: Scene, caplog: pytest.LogCaptureFixture, age: float
) -> None:
    """Created right after an answer, it is up to an interval old, and the backend itself takes 12 s to notice."""
    polled(scene, interval=20)
    scene.receive(scene.task("a", starts_in=-age, created_in=-age))
    assert scene.runs_for("/a") == 60 - age
    assert not warnings(caplog)


def test_a_task_that_was_planned_long_before_comes_minutes_before_its_start(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """The backend sends a task once it starts within five minutes: its creation says nothing of the clocks then."""
    polled(scene)
    scene.receive(scene.task("a", starts_in=295, created_in=-7_000))
    scene.clock.advance(294)
    assert not scene.matches("/a")
    scene.clock.advance(1)
    assert scene.runs_for("/a") == 60
    assert not warnings(caplog)


def test_a_planned_task_of_a_backend_whose_clock_is_ahead_keeps_its_distance_from_its_creation(scene: Scene) -> None:
    polled(scene)
    scene.receive(scene.task("a", starts_in=3_600 + 120, created_in=3_600))
    scene.clock.advance(119)
    assert not scene.matches("/a")
    scene.clock.advance(1)
    assert scene.runs_for("/a") == 60


def test_a_fresh_task_is_not_refused_though_its_start_was_set_to_long_before_its_creation(scene: Scene) -> None:
    polled(scene)
    scene.receive(scene.task("a", starts_in=-600))
    assert scene.runs_for("/a") == 60


def test_two_tasks_of_a_backend_with_another_clock_run_one_after_the_other(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """The first is received late and so runs on into the time of the second: that one waits, it is not refused."""
    polled(scene)
    scene.receive(scene.task("a", starts_in=-1_010, created_in=-1_010))
    scene.clock.advance(55)
    scene.receive(scene.task("b", starts_in=-1_000, created_in=-1_000))
    assert scene.current == "a"
    assert not [line for line in warnings(caplog) if "overlaps" in line]
    scene.clock.advance(5)
    scene.service.process_profile_task()
    assert scene.matches("/b")


def test_a_task_that_runs_is_not_put_off_for_one_that_began_earlier_by_another_clock(scene: Scene) -> None:
    polled(scene)
    scene.receive(scene.task("a", starts_in=-1_010, created_in=-1_010))
    scene.clock.advance(1)
    scene.receive(scene.task("b", starts_in=-10, created_in=-10))
    assert scene.runs_for("/a") == 59
    assert scene.finished[:1] == ["a"]


def test_each_poll_narrows_down_when_a_task_became_known(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Answered every 20 s, and still a minute old: that is no delay."""
    for _ in range(10):
        polled(scene)
    scene.receive(scene.task("a", starts_in=-60, created_in=-60))
    assert scene.runs_for("/a") == 60
    assert "28 s behind" in warnings(caplog)[0]


# Arguments that mean harm.


@pytest.mark.parametrize("name", ["StartTime", "CreateTime"])
@pytest.mark.parametrize("value", ["999999999999999999", "-999999999999999999", "0"])
@pytest.mark.parametrize("first", [True, False])
def test_no_time_however_wild_stops_the_tasks_after_it(scene: Scene, name: str, value: str, first: bool) -> None:
    wild = scene.task("wild")
    scene.receive(TaskCommand(wild.name, {**wild.arguments, name: value}), first=first)
    for _ in range(100):
        scene.clock.advance(1)
        scene.service.process_profile_task()
    scene.receive(scene.task("sane"))
    assert scene.matches("/sane")


def test_what_add_profile_task_refuses_it_says(scene: Scene) -> None:
    add: Callable[[ProfileTask], None] = scene.service.add_profile_task
    add(profile_task("/a", start_time=EPOCH_MS, create_time=EPOCH_MS))
    with pytest.raises(InvalidTask, match="/a"):
        add(profile_task("/b", start_time=EPOCH_MS, create_time=EPOCH_MS))
