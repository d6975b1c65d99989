"""Creating a profile task: the rules OAP applies, and the words it refuses with."""

from __future__ import annotations

from dataclasses import dataclass

from swprof_mw.collector import ids
from swprof_mw.collector.checks import LAST_TIME
from swprof_mw.collector.records import MINUTE, Task
from swprof_mw.collector.store import Store

NEAR = 5 * MINUTE
"""An agent is sent the tasks that start within this time of now, before or after."""


@dataclass(frozen=True)
class TaskRequest:
    """What a person asks for: ``duration`` in minutes, ``min_duration_threshold`` and ``dump_period`` in ms.

    ``start_time`` is ms since the epoch; ``None`` or not positive means now.
    """

    service_id: str
    endpoint_name: str
    duration: int
    min_duration_threshold: int
    dump_period: int
    max_sampling_count: int
    start_time: int | None = None

    def refusal(self) -> str | None:
        """Why this can not be a task, in OAP's words; ``None`` if it can."""
        rules = [
            (bool(self.endpoint_name.strip()), "endpoint name cannot be empty"),
            (self.duration >= 1, "monitor duration must greater than 1 minutes"),
            (self.min_duration_threshold >= 0, "min duration threshold must greater than or equals zero"),
            (self.max_sampling_count > 0, "max sampling count must greater than zero"),
            (self.duration <= 15, "The duration of the monitoring task cannot be greater than 15 minutes"),
            (self.dump_period >= 10, "dump period must be greater than or equals 10 milliseconds"),
            (self.max_sampling_count < 10, "max sampling count must less than 10"),
        ]
        return next((reason for holds, reason in rules if not holds), None)

    def task(self, now: int) -> Task:
        """The task it becomes when it is created at ``now``, ms since the epoch."""
        start = self.start_time if self.start_time is not None and self.start_time > 0 else now
        return Task(
            service_id=self.service_id,
            endpoint_name=self.endpoint_name,
            start_time=start,
            duration=self.duration,
            min_duration_threshold=self.min_duration_threshold,
            dump_period=self.dump_period,
            max_sampling_count=self.max_sampling_count,
            create_time=now,
        )


@dataclass(frozen=True)
class TaskCreation:
    """How it went: either the new task's id or the reason why there is none."""

    id: str | None = None
    error_reason: str | None = None


def create(store: Store, request: TaskRequest, now: int) -> TaskCreation:
    """Check the request and keep the task.

    Raises:
        ValueError: ``service_id`` is no service's id, a time is none, or a text is not Unicode.
        StoreError: the task cannot be kept.
    """
    ids.service_name(request.service_id)
    request.endpoint_name.encode()  # surrogates alone come in as JSON, and no file takes them
    if abs(request.start_time or 0) > LAST_TIME:
        raise ValueError(f"not a time in ms since the epoch: {request.start_time}")
    if reason := request.refusal():
        return TaskCreation(error_reason=reason)
    task = store.add_task(request.task(now))
    if task is None:
        return TaskCreation(error_reason="current service already has monitor task execute at this time")
    return TaskCreation(id=task.id)


def due(store: Store, service: str, last_command_time: int, now: int) -> list[Task]:
    """The tasks an agent of ``service`` is to be told of: near now, and newer than what it knows."""
    return [
        task
        for task in store.tasks(ids.service_id(service))
        if abs(task.start_time - now) <= NEAR and task.create_time > last_command_time
    ]
