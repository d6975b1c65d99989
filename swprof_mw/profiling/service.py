"""The profile tasks of one service in this process: fetched, checked, run one at a time."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from swprof_mw.clock import NS_PER_MS, monotonic_ns
from swprof_mw.log import fields
from swprof_mw.names import cut
from swprof_mw.native import allocate_lock
from swprof_mw.profiling.execution import ProfileTaskExecutionContext
from swprof_mw.profiling.task import COMMAND, LONGEST_TEXT, MINUTE_MS, InvalidTask, ProfileTask, parse, shown

if TYPE_CHECKING:
    from swprof_mw.profiling.profiler import ProfiledSpan
    from swprof_mw.profiling.sampler import Sampler
    from swprof_mw.records import TaskCommand

logger = logging.getLogger("swprof_mw")

#: Serial numbers remembered, so that no command is carried out twice.
_REMEMBERED = 1024
#: Tasks that wait for their time, at the most.
WAITING = 100
#: Of one answer, so many refused commands are logged one by one.
_REFUSALS = 10
#: A backend's clock that differs by more than this is worth a line in the log, ms.
_SKEW_MS = 5_000
#: A backend takes up to so long to notice a task that was created, ms.
_NOTICED_MS = 12_000
#: It tells of a task that is planned for later so long before its start, ms.
_TOLD_BEFORE_MS = 300_000


def wall_ms() -> int:
    """The wall clock in ms since the epoch."""
    return time.time_ns() // NS_PER_MS


class ProfileTaskExecutionService:
    """Takes profile tasks in and runs them, one at a time, each for its duration.

    Requests ask ``current`` and nothing else while no task is there. The times of tasks are turned into this
    process's monotonic clock when they arrive, so no later jump of the wall clock moves them.

    Args:
        sampler: samples what a running task matches.
        finished: called with the id of each task that has ended here.

    Attributes:
        current: the task that runs, or that will when its start time has come; None while there is none.
        last_command_time: the newest CreateTime of a task seen so far, ms since the epoch; -1 before the first.
    """

    def __init__(self, sampler: Sampler, finished: Callable[[str], None]) -> None:
        self.current: ProfileTaskExecutionContext | None = None
        self.last_command_time = -1
        self._sampler = sampler
        self._finished = finished
        self._lock = allocate_lock()
        self._waiting: list[ProfileTaskExecutionContext] = []
        self._known: deque[str] = deque(maxlen=_REMEMBERED)
        self._polled = monotonic_ns()

    def receive(self, commands: list[TaskCommand], first_poll: bool) -> None:
        """Carry out the commands of one answered poll; unknown ones are ignored, bad ones logged.

        Args:
            commands: as the backend sent them.
            first_poll: whether no poll was answered before. Only then a task may be old, sent because it is recent.
        """
        refusals = 0
        for command in commands:
            if command.name != COMMAND or self._is_known(command):
                continue
            try:
                task = parse(command)
                self._remember(command)
                self.last_command_time = max(self.last_command_time, task.create_time)
                self.add_profile_task(task, fresh=not first_poll)
            except InvalidTask as refused:
                # Remembered too, or each poll would log it again.
                self._remember(command)
                refusals += 1
                if refusals <= _REFUSALS:
                    task_id = shown(command.arguments.get("TaskId", ""))
                    extra = fields("task_refused", task=task_id, reason=str(refused))
                    logger.warning("profile task %s is not run: %s", task_id, refused, extra=extra)
        if refusals > _REFUSALS:
            more = refusals - _REFUSALS
            logger.warning("%d more profile tasks are not run", more, extra=fields("tasks_refused", count=more))
        self._polled = monotonic_ns()

    def add_profile_task(self, task: ProfileTask, fresh: bool = True) -> None:
        """Take a checked task in: it runs from its start time on, for its duration.

        Args:
            task: the task.
            fresh: it was created after an earlier poll, so its times cannot be over: a difference is the clocks'.

        Raises:
            InvalidTask: it is over, or another task of this service is to run at the same time, by the backend's clock;
                or too many wait.
        """
        start, end = self._span_of(task, fresh)
        with self._lock:
            if len(self._waiting) >= WAITING:
                raise InvalidTask(f"{WAITING} others wait already")
            for other in [*self._waiting, *([self.current] if self.current else [])]:
                if task.overlaps(other.task):
                    task_id, endpoint = self._about(other)
                    raise InvalidTask(f"its time overlaps that of task {task_id} ({endpoint})")
            self._enqueue(ProfileTaskExecutionContext(task, self._sampler, start, end))
        self.process_profile_task()

    def process_profile_task(self) -> None:
        """End the current task if its time is over or its count is used up, and bring on the next. Called often."""
        current, now = self.current, monotonic_ns()
        if current is not None and current.is_over(now):
            self.stop_current_profile_task(current)
        with self._lock:
            current = self.current
            if current is not None and current.start > now and self._waiting and self._waiting[0].start < current.start:
                # It has not begun, and one that came later begins before it.
                self._enqueue(current)
                self.current = None
            if self.current is None and self._waiting:
                self.current = self._waiting.pop(0)
                task_id, endpoint = self._about(self.current)
                extra = fields("task_ready", task=task_id, endpoint=endpoint)
                logger.info("profile task %s for %s is ready", task_id, endpoint, extra=extra)
                self._sampler.prepare()

    def stop_current_profile_task(self, context: ProfileTaskExecutionContext) -> None:
        """End this task now, if it is the current one: its requests are sampled no more, the backend is told."""
        with self._lock:
            if self.current is not context:
                return
            self.current = None
        context.stop()
        task_id, endpoint = self._about(context)
        extra = fields("task_ended", task=task_id, endpoint=endpoint)
        logger.info("profile task %s for %s has ended", task_id, endpoint, extra=extra)
        self._finished(context.task.task_id)

    def add_profiling(self, span: ProfiledSpan, name: str) -> None:
        """A request begins: sample it if the current task asks for ``name``, its raw path."""
        self.profiling_recheck(span, name)

    def profiling_recheck(self, span: ProfiledSpan, name: str) -> None:
        """A request's endpoint turned out to be ``name``: sample it if the current task asks for that."""
        context = self.current
        if context is not None and span.profiler is None:
            context.attempt_profiling(span, name)

    def _enqueue(self, context: ProfileTaskExecutionContext) -> None:
        self._waiting.append(context)
        self._waiting.sort(key=lambda waiting: waiting.start)

    def _span_of(self, task: ProfileTask, fresh: bool) -> tuple[int, int]:
        """Start and end in monotonic ns."""
        now, wall = monotonic_ns(), wall_ms()
        start, end = task.start_time - wall, task.end_time - wall
        if fresh and (self._differs(task, now, wall) or end <= 0):
            start = task.start_time - _told_at(task)
            end = start + task.duration * MINUTE_MS
        elif end <= 0:
            raise InvalidTask(f"its time was over {-end / 1000:.0f} s ago")
        return now + start * NS_PER_MS, now + end * NS_PER_MS

    def _differs(self, task: ProfileTask, now: int, wall: int) -> bool:
        """Whether a fresh task shows that the backend's clock differs from ours; logged then.

        It became known at some moment since the poll before, or a little earlier: that is no difference.
        """
        told = _told_at(task) - wall
        earliest = (self._polled - now) // NS_PER_MS - _NOTICED_MS
        difference = told if told > 0 else min(told - earliest, 0)
        if abs(difference) <= _SKEW_MS:
            return False
        seconds, task_id = difference / 1000, shown(task.task_id)
        logger.warning(
            "the backend's clock is about %.0f s %s; task %s runs its duration from now on",
            abs(seconds),
            "ahead" if seconds > 0 else "behind",
            task_id,
            extra=fields("clock_differs", seconds=seconds, task=task_id),
        )
        return True

    def _is_known(self, command: TaskCommand) -> bool:
        """Carried out or refused before: by its serial number, or by its task, since OAP numbers each answer anew."""
        return any(name in self._known for name in _names(command))

    def _remember(self, command: TaskCommand) -> None:
        self._known.extend(_names(command))

    @staticmethod
    def _about(context: ProfileTaskExecutionContext) -> tuple[str, str]:
        return shown(context.task.task_id), shown(context.task.endpoint_name)


def _names(command: TaskCommand) -> list[str]:
    """What a command is known by, no longer than it may be."""
    found = (command.arguments.get(name, "") for name in ("SerialNumber", "TaskId"))
    return [cut(name, LONGEST_TEXT) for name in found if name]


def _told_at(task: ProfileTask) -> int:
    """When the backend began to tell of a task, ms since the epoch by its clock: of a planned one, before its start."""
    return max(min(task.create_time, task.start_time), task.start_time - _TOLD_BEFORE_MS)
