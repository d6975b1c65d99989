"""Profile tasks and what instances did with them, as tables: the oldest go first."""

from __future__ import annotations

import sqlite3

from swprof_mw.collector.heard import IN_ALL
from swprof_mw.collector.records import MINUTE, Task, TaskLog

_READ = (
    "SELECT service_id, endpoint, start, duration, min_duration_threshold, dump_period, max_sampling_count, created"
    " FROM task"
)


class TaskList:
    """Changes the tables, within the transaction of the caller.

    Args:
        writer: the connection.
        most: tasks in all, and logs of each of them.
    """

    def __init__(self, writer: sqlite3.Connection, most: int) -> None:
        self._writer, self._max = writer, most

    def add(self, task: Task) -> Task | None:
        """Keep a task, created after all others of its service; ``None`` if one of them runs at its time."""
        others = tasks(self._writer, task.service_id)
        if any(task.clashes(other) for other in others):
            return None
        newest = max((other.create_time for other in others), default=0)
        task = task.created_at(max(task.create_time, newest + 1))
        self._insert(task)
        surplus = "SELECT task_id FROM task ORDER BY id DESC LIMIT -1 OFFSET ?"
        self._drop([name for (name,) in self._writer.execute(surplus, (self._max,))])
        return task

    def log(self, log: TaskLog) -> None:
        """Keep what an instance did with a task that is known."""
        if not self._writer.execute("SELECT 1 FROM task WHERE task_id = ?", (log.task_id,)).fetchone():
            return
        self._writer.execute(
            "INSERT INTO task_log (task_id, service, instance, operation, time) VALUES (?, ?, ?, ?, ?)",
            (log.task_id, log.service, log.instance, log.operation, log.time),
        )
        self._writer.execute(
            "DELETE FROM task_log WHERE id IN"
            " (SELECT id FROM task_log WHERE task_id = ? ORDER BY id DESC LIMIT -1 OFFSET ?)",
            (log.task_id, self._max),
        )
        while self._writer.execute("SELECT count(*) FROM task_log").fetchone()[0] > IN_ALL * self._max:
            self._writer.execute(
                "DELETE FROM task_log WHERE task_id = (SELECT task_id FROM task_log ORDER BY id LIMIT 1)"
            )

    def expire(self, before: int) -> None:
        """Drop the tasks that were over before that time, ms since the epoch, with their logs."""
        over = self._writer.execute("SELECT task_id FROM task WHERE start + duration * ? < ?", (MINUTE, before))
        self._drop([name for (name,) in over])

    def _insert(self, task: Task) -> None:
        self._writer.execute(
            "INSERT OR REPLACE INTO task (task_id, service_id, endpoint, start, duration, min_duration_threshold,"
            " dump_period, max_sampling_count, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(task.id, task.service_id, task.endpoint_name, task.start_time, task.duration),
                *(task.min_duration_threshold, task.dump_period, task.max_sampling_count, task.create_time),
            ),
        )

    def _drop(self, names: list[str]) -> None:
        for name in names:
            self._writer.execute("DELETE FROM task WHERE task_id = ?", (name,))
            self._writer.execute("DELETE FROM task_log WHERE task_id = ?", (name,))


def tasks(reader: sqlite3.Connection, service_id: str | None = None) -> list[Task]:
    """The tasks of one service or of all, the latest start first."""
    where, values = ("", ()) if service_id is None else (" WHERE service_id = ?", (service_id,))
    return [Task(*row) for row in reader.execute(f"{_READ}{where} ORDER BY start DESC, id", values)]


def logs(reader: sqlite3.Connection, task_id: str) -> list[TaskLog]:
    """What instances did with a task, the newest first."""
    rows = reader.execute(
        "SELECT task_id, service, instance, operation, time FROM task_log WHERE task_id = ? ORDER BY id DESC",
        (task_id,),
    )
    return [TaskLog(*row) for row in rows]
