"""A profile task: what the backend asks for, checked."""

from __future__ import annotations

from dataclasses import dataclass

from swprof_mw.records import TaskCommand

#: The name of the command that carries a task.
COMMAND = "ProfileTaskQuery"

MINUTE_MS = 60_000
_LONGEST_MINUTES = 15
_SHORTEST_PERIOD_MS = 10
_SAMPLING_LIMIT = 10
#: Of an id or a name: far more than a backend gives.
LONGEST_TEXT = 1_000
_SHOWN = 150


class InvalidTask(ValueError):
    """A task that is not run; the message says why."""


@dataclass(frozen=True)
class ProfileTask:
    """One profile task.

    Attributes:
        serial_number: what the command is known by.
        task_id: the backend's id, in every snapshot of it.
        endpoint_name: requests of this endpoint are sampled.
        duration: minutes.
        min_duration_threshold: a request is sampled once it has lasted so long, ms.
        dump_period: between two samples of a request, ms.
        max_sampling_count: so many requests are sampled in this process, at the most.
        start_time: ms since the epoch, by the backend's clock.
        create_time: ms since the epoch, by the backend's clock.
    """

    serial_number: str
    task_id: str
    endpoint_name: str
    duration: int
    min_duration_threshold: int
    dump_period: int
    max_sampling_count: int
    start_time: int
    create_time: int

    @property
    def end_time(self) -> int:
        """Ms since the epoch, by the backend's clock."""
        return self.start_time + self.duration * MINUTE_MS

    def overlaps(self, other: ProfileTask) -> bool:
        """Whether both want to run at some moment."""
        return self.start_time < other.end_time and other.start_time < self.end_time


def parse(command: TaskCommand) -> ProfileTask:
    """The task that a command carries.

    Raises:
        InvalidTask: an argument is missing, not a number where one is due, or out of its range.
    """
    text = command.arguments
    task = ProfileTask(
        serial_number=_text(text, "SerialNumber"),
        task_id=_text(text, "TaskId"),
        endpoint_name=_text(text, "EndpointName"),
        duration=_number(text, "Duration"),
        min_duration_threshold=_number(text, "MinDurationThreshold"),
        dump_period=_number(text, "DumpPeriod"),
        max_sampling_count=_number(text, "MaxSamplingCount"),
        start_time=_number(text, "StartTime"),
        create_time=_number(text, "CreateTime"),
    )
    _check(task)
    return task


def _check(task: ProfileTask) -> None:
    if not 1 <= task.duration <= _LONGEST_MINUTES:
        raise InvalidTask(f"duration is {task.duration} minutes; 1 to {_LONGEST_MINUTES} are allowed")
    if task.min_duration_threshold < 0:
        raise InvalidTask(f"minimum duration threshold is {task.min_duration_threshold} ms; it cannot be negative")
    if task.dump_period < _SHORTEST_PERIOD_MS:
        raise InvalidTask(f"dump period is {task.dump_period} ms; at least {_SHORTEST_PERIOD_MS} are needed")
    if not 0 < task.max_sampling_count < _SAMPLING_LIMIT:
        raise InvalidTask(f"max sampling count is {task.max_sampling_count}; 1 to {_SAMPLING_LIMIT - 1} are allowed")


def _text(arguments: dict[str, str], name: str) -> str:
    value = arguments.get(name, "")
    if not value:
        raise InvalidTask(f"{name} is missing or empty")
    if len(value) > LONGEST_TEXT:
        raise InvalidTask(f"{name} is longer than {LONGEST_TEXT} characters")
    return value


def _number(arguments: dict[str, str], name: str) -> int:
    value = _text(arguments, name)
    digits = value[1:] if value[0] in "+-" else value
    # Bounded before it is turned into a number: int() of a million digits takes its time.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise InvalidTask(f"{name} is not a number: {value[:40]!r}")
    return int(value)


def shown(text: str) -> str:
    """A text of the backend's as the log may have it: on one line, and not long."""
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return short if short.isprintable() else repr(short)
