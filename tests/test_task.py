"""What a task command has to say to be run, and what becomes of those that say something else."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swprof_mw.profiling.task import COMMAND, InvalidTask, ProfileTask, parse
from swprof_mw.records import TaskCommand
from tests.doubles import EPOCH_MS, arguments, command
from tests.recorded import profile_task

NUMBERS = ["Duration", "MinDurationThreshold", "DumpPeriod", "MaxSamplingCount", "StartTime", "CreateTime"]
TEXTS = ["SerialNumber", "TaskId", "EndpointName"]
NO_NUMBERS = [
    " ",
    "ten",
    "1.5",
    "1e3",
    " 5",
    "5 ",
    "5\n",
    "+",
    "-",
    "--5",
    "0x10",
    "1_0",
    "٣",
    "²",
    "5\x00",
    "9" * 19,
    "-" + "9" * 19,
]


def test_a_good_command_becomes_the_task_that_it_describes() -> None:
    given_task = command(
        SerialNumber="1-2",
        TaskId="id",
        EndpointName="/users/<int:uid>",
        Duration="15",
        MinDurationThreshold="200",
        DumpPeriod="20",
        MaxSamplingCount="9",
        StartTime=str(EPOCH_MS + 1),
        CreateTime=str(EPOCH_MS + 2),
    )
    assert parse(given_task) == ProfileTask("1-2", "id", "/users/<int:uid>", 15, 200, 20, 9, EPOCH_MS + 1, EPOCH_MS + 2)


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("Duration", ["1", "15"], ["0", "16", "-1"]),
        ("MinDurationThreshold", ["0", "1", "60000"], ["-1"]),
        ("DumpPeriod", ["10", "1000"], ["9", "0", "-10"]),
        ("MaxSamplingCount", ["1", "9"], ["0", "10", "-1"]),
    ],
)
def test_each_range_holds_its_ends_and_nothing_beyond(name: str, allowed: list[str], refused: list[str]) -> None:
    for value in allowed:
        parse(command(**{name: value}))
    for value in refused:
        with pytest.raises(InvalidTask, match=value):
            parse(command(**{name: value}))


@pytest.mark.parametrize("name", NUMBERS + TEXTS)
def test_an_argument_that_is_missing_or_empty_is_named(name: str) -> None:
    without = {key: value for key, value in arguments().items() if key != name}
    for given_arguments in (without, {**without, name: ""}):
        with pytest.raises(InvalidTask, match=name):
            parse(TaskCommand(COMMAND, given_arguments))


@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_not_a_number_is_refused_by_name(name: str) -> None:
    for value in NO_NUMBERS:
        with pytest.raises(InvalidTask, match=name):
            parse(command(**{name: value}))


def test_a_number_of_a_million_digits_costs_neither_time_nor_a_long_line_in_the_log() -> None:
    began = time.process_time()
    with pytest.raises(InvalidTask) as refused:
        parse(command(Duration="9" * 1_000_000))
    assert time.process_time() - began < 0.5
    assert len(str(refused.value)) < 200


def test_leading_zeros_and_signs_are_numbers_still() -> None:
    task = parse(command(Duration="+5", DumpPeriod="0010", CreateTime="-1"))
    assert (task.duration, task.dump_period, task.create_time) == (5, 10, -1)


@given(st.dictionaries(st.sampled_from(NUMBERS + TEXTS), st.text() | st.integers().map(str)))
@example({"MinDurationThreshold": "9" * 18, "DumpPeriod": "9" * 18})
@settings(deadline=None, database=None)
def test_whatever_the_arguments_a_task_within_its_ranges_comes_out_or_invalid_task(changes: dict[str, str]) -> None:
    try:
        task = parse(command(**changes))
    except InvalidTask:
        return
    assert task.endpoint_name
    assert task.task_id
    assert task.serial_number
    assert 1 <= task.duration <= 15
    assert task.min_duration_threshold >= 0
    assert task.dump_period >= 10
    assert 0 < task.max_sampling_count < 10
    assert task.end_time - task.start_time == task.duration * 60_000


def test_tasks_overlap_when_both_want_the_same_moment() -> None:
    task = profile_task("/x", start_time=EPOCH_MS, duration=2)
    for start, overlaps in [(-60_001, False), (-60_000, False), (-59_999, True), (0, True), (119_999, True)]:
        other = profile_task("/x", start_time=EPOCH_MS + start, duration=1)
        assert task.overlaps(other) is other.overlaps(task) is overlaps
    assert not task.overlaps(profile_task("/x", start_time=task.end_time))
