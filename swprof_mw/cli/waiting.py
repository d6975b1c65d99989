"""Waiting for the requests that a task profiles."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from swprof_mw.cli import report
from swprof_mw.query.client import OapClient, Request, Task

POLL = 0.5
"""Seconds between two looks."""

GRACE = 45.0
"""Seconds after a task's end: agents ask every 20 s, OAP refreshes its answers every 10 s and stores a bit later."""

SETTLE = 3.0
"""Seconds without anything new, after which no more is expected; OAP stores what it is sent every 2 s or so."""


@dataclass(frozen=True)
class Wait:
    """For a task of the service of that name.

    Attributes:
        samples: requests after which nobody waits any longer.
        settle: seconds without anything new, after which no snapshot is expected any more.
        show: is told how far it is.
    """

    client: OapClient
    service: str
    task_id: str
    samples: int
    settle: float
    show: Callable[[str], None]

    def requests(self, timeout: float) -> list[Request]:
        """What was profiled, once the samples are listed, all instances have finished or the seconds are over."""
        latest = time.monotonic() + timeout
        while not self._complete(latest - time.monotonic()):
            time.sleep(min(POLL, max(latest - time.monotonic(), 0)))
        return self._settled()

    def _complete(self, left: float) -> bool:
        task = next((task for task in self.client.tasks(self.service) if task.id == self.task_id), None)
        listed = len(self._listed())
        self.show(f"{progress(task, listed, self.samples)}; {max(left, 0):.0f} s left")
        finished = task is not None and bool(task.notified) and task.notified <= task.finished
        return listed >= self.samples or finished or left <= 0

    def _settled(self) -> list[Request]:
        """Segments and snapshots come by different ways: what is listed first may still be growing."""
        requests = self._listed()
        size, since = report.size(self.client, requests), time.monotonic()
        while time.monotonic() - since < self.settle:
            self.show(f"{_requests(len(requests))} profiled, {size[1]} snapshots; waiting for the last of them")
            time.sleep(min(POLL, self.settle))
            requests = self._listed()
            if (newer := report.size(self.client, requests)) != size:
                size, since = newer, time.monotonic()
        return requests

    def _listed(self) -> list[Request]:
        return [request for request in self.client.segments(self.task_id) if request.entry is not None]


def progress(task: Task | None, listed: int, samples: int) -> str:
    """How far a task is, in words; ``listed``: requests that it has profiled, of ``samples`` that are waited for."""
    if task is None or not task.notified:
        return "waiting for agents, which ask for tasks every 20 s"
    processes = f"{len(task.notified)} {'process' if len(task.notified) == 1 else 'processes'}"
    if task.notified <= task.finished:
        return f"finished: {_requests(listed)} profiled in {processes}"
    if not listed:
        return f"{processes} took the task, no request came yet: visit the endpoint"
    return f"sampling: {listed} of {_requests(samples)} profiled in {processes}"


def _requests(count: int) -> str:
    return f"{count} {'request' if count == 1 else 'requests'}"
