"""Whatever a backend sends as profile tasks: nothing raises, nothing grows, one task runs at a time."""

from __future__ import annotations

import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swprof_mw import failures
from swprof_mw.profiling.sampler import Sampler
from swprof_mw.profiling.sampler_settings import SamplerSettings
from swprof_mw.profiling.service import WAITING, ProfileTaskExecutionService
from swprof_mw.profiling.task import COMMAND
from swprof_mw.records import TaskCommand
from tests.doubles import EPOCH_MS, PlainSpan, arguments
from tests.generated.amount import cases, mixed
from tests.test_service import Scene

SMALL = st.integers(-3, 20).map(str)
TIMES = st.integers(-400_000, 400_000).map(lambda offset: str(EPOCH_MS + offset))
NUMBERS = mixed((4, SMALL), (3, TIMES), (1, st.integers(-(10**19), 10**19).map(str)), (1, st.text(max_size=6)))
TEXTS = st.text(max_size=10) | st.sampled_from(
    ["/shop", "serial", "task", "x" * 1_500, "a\nb", "\x00", "<unmatched>", "٣"]
)
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "SerialNumber": TEXTS,
        "TaskId": TEXTS,
        "EndpointName": TEXTS,
        "Duration": NUMBERS,
        "MinDurationThreshold": NUMBERS,
        "DumpPeriod": NUMBERS,
        "MaxSamplingCount": NUMBERS,
        "StartTime": NUMBERS,
        "CreateTime": NUMBERS,
        "": TEXTS,
    },
)
#: Mostly good ones with a few arguments changed; else nothing but what is generated.
COMMANDS = st.builds(
    TaskCommand,
    mixed((9, st.just(COMMAND)), (1, st.text(max_size=5))),
    mixed((3, ARGUMENTS.map(lambda changes: arguments(**changes))), (1, ARGUMENTS)),
)
#: Seconds that pass, and seconds that the wall clock jumps by besides.
PASSING = st.sampled_from([0, 1, 20, 61, 900])
JUMPS = st.sampled_from([0, 0, 0, 3600, -3600, 10**9, -(10**9)])


@pytest.fixture(autouse=True)
def _all_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


#: An answered poll, and what happens to the clocks until the next one.
ROUNDS = st.lists(st.tuples(st.lists(COMMANDS, max_size=3), PASSING, JUMPS), min_size=1, max_size=4)


@given(ROUNDS)
@cases(100)
def test_no_command_does_any_harm(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, rounds: list[tuple[list[TaskCommand], int, int]]
) -> None:
    caplog.clear()
    with monkeypatch.context() as patched:
        scene = Scene(patched)
        for number, (commands, passing, jump) in enumerate(rounds):
            scene.service.receive(commands, number == 0)
            for command in commands:
                scene.matches(command.arguments.get("EndpointName", ""))
            scene.clock.advance(passing)
            scene.clock.wall += jump * 1000
            for _ in range(30):  # it is called often, and goes on by one task at a time
                scene.service.process_profile_task()
            current = scene.service.current
            if current is not None:
                assert current.end > scene.clock.now
                assert 1 <= current.task.duration <= 15
        # A task that has ended is told of once.
        assert len(scene.finished) == len(set(scene.finished))
    assert all(len(record.getMessage()) < 1_000 for record in caplog.records)
    assert all("\n" not in record.getMessage() for record in caplog.records)


def sent(**changes: str) -> TaskCommand:
    """A command that starts now."""
    return TaskCommand(COMMAND, arguments(**changes))


def test_a_number_of_a_million_digits_is_not_read(scene: Scene) -> None:
    began = time.process_time()
    for number in range(5):
        scene.receive(sent(SerialNumber=f"{number}", TaskId=f"{number}", CreateTime="9" * 1_000_000))
    assert time.process_time() - began < 1
    assert scene.current is None


def test_what_is_remembered_of_commands_is_bounded_however_long_their_texts(scene: Scene) -> None:
    for number in range(20):
        scene.receive(sent(SerialNumber=f"{number}" + "s" * 1_000_000, TaskId=f"{number}" + "t" * 1_000_000))
    assert sum(map(len, scene.service._known)) < 100_000
    assert scene.current is None


@pytest.mark.parametrize("name", ["SerialNumber", "TaskId", "EndpointName"])
def test_a_text_that_nobody_could_mean_is_refused_once(
    scene: Scene, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    for _ in range(2):
        scene.receive(sent(**{name: "x" * 1_001}))
    [refusal] = [record.getMessage() for record in caplog.records]
    assert f"{name} is longer than" in refusal
    assert scene.current is None


def test_only_so_many_tasks_wait(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    minute = 60_000
    for number in range(WAITING + 50):
        start = str(EPOCH_MS + number * minute)
        scene.receive(sent(SerialNumber=f"s{number}", TaskId=f"t{number}", StartTime=start, Duration="1"), first=True)
    assert len(scene.service._waiting) == WAITING
    assert "wait already" in caplog.text


def test_a_thousand_bad_commands_do_not_fill_the_log(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    commands = [sent(SerialNumber=f"s{number}", TaskId=f"t{number}", Duration="0") for number in range(1_000)]
    scene.receive(*commands)
    assert len(caplog.records) <= 20
    assert "more profile tasks are not run" in caplog.text


def test_what_a_command_says_cannot_look_like_a_line_of_the_log(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    forged = "x\nCRITICAL all is lost\x1b[2J"
    scene.receive(sent(TaskId=forged, EndpointName=forged))
    scene.receive(sent(SerialNumber="second", TaskId="other", EndpointName=forged))
    scene.receive(sent(SerialNumber="odd", TaskId=forged + "2", Duration=forged))
    scene.clock.advance(600)
    scene.service.process_profile_task()
    assert len(caplog.records) >= 4
    assert not any(ord(letter) < 32 for record in caplog.records for letter in record.getMessage())


@pytest.mark.parametrize("threshold", ["0", "9" * 18])
@pytest.mark.parametrize("period", ["10", "9" * 18])
def test_no_threshold_and_no_period_are_too_long_for_the_sampler(
    caplog: pytest.LogCaptureFixture, threshold: str, period: str
) -> None:
    failures._last.clear()
    kept: list[object] = []
    sampler = Sampler(SamplerSettings(), lambda snapshot: not kept.append(snapshot))  # type: ignore[func-returns-value]
    service = ProfileTaskExecutionService(sampler, kept.append)
    service.receive([sent(MinDurationThreshold=threshold, DumpPeriod=period)], first_poll=False)
    span = PlainSpan("segment")
    service.add_profiling(span, "/shop")
    assert span.profiler is not None
    time.sleep(0.03)
    span.ended = True
    span.profiler.end(span.start + 1)
    sampler.stop(5.0)
    assert not sampler.taken
    assert "swprof_mw failed" not in caplog.text


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A service with a clock that is set by hand."""
    return Scene(monkeypatch)
