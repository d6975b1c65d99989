"""What a reporter is given by tests: an instance that notes what happens to it, segments and snapshots by number."""

from __future__ import annotations

from typing import Any

from swprof_mw.records import Segment, Snapshot, TaskCommand


class Probe:
    """An instance that notes what the reporter asks of it."""

    def __init__(self, name: str = "shop", profile_active: bool = True) -> None:
        self.name = name
        self.instance = f"{name}-1"
        self.profile_active = profile_active
        self.last_command_time = -1
        self.received: list[tuple[list[TaskCommand], bool]] = []
        self.turns = 0
        self.has_task = False

    def properties(self) -> list[tuple[str, str]]:
        """One property."""
        return [("language", "python")]

    def receive(self, commands: list[TaskCommand], first_poll: bool) -> None:
        """Note them."""
        self.received.append((commands, first_poll))

    def process_tasks(self) -> bool:
        """Count it."""
        self.turns += 1
        return self.has_task


def segment(number: int = 0, operation: str = "/", **changes: Any) -> Segment:
    """A segment whose id is its number."""
    fields: dict[str, Any] = {
        "trace_id": "t",
        "segment_id": str(number),
        "service": "shop",
        "instance": "shop-1",
        "operation": operation,
        "start": 1,
        "end": 2,
        "peer": "",
        "component": 7001,
        "is_error": False,
        "tags": (),
        "log": (),
        "reference": None,
        "skip_analysis": False,
    }
    return Segment(**{**fields, **changes})


def snapshot(number: int = 0, **changes: Any) -> Snapshot:
    """A snapshot whose sequence is its number."""
    fields: dict[str, Any] = {"task_id": "t", "segment_id": "s", "time": 1, "sequence": number, "stack": ("a", "b")}
    return Snapshot(**{**fields, **changes})
