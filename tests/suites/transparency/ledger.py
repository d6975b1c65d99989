"""Every request as it is seen from outside, and whether it was sampled."""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from swprof_mw.application import Application
from swprof_mw.records import Snapshot, TaskCommand
from swprof_mw.reporter.reporter import Reporter

#: A request that takes longer than this, seconds, has to be sampled.
LONG = 0.05
#: The share of the long requests that has to be sampled at least.
SHARE = 0.95
#: Fewer long requests than this say nothing.
FEWEST = 10
#: The suites' apps share one agent, so these settings are the same in all of them. The queue is large enough for a
#: backend that is slow because all of the machine is.
SETTINGS: dict[str, Any] = {
    "service_name": "suite",
    "profile_max_parallel": 100,
    "profile_snapshot_transport_buffer_size": 100_000,
}


@dataclass
class Asked:
    """One request as it is seen from outside, and the test that made it; times are monotonic seconds."""

    task_id: str
    test: str = field(default_factory=lambda: os.environ.get("PYTEST_CURRENT_TEST", ""))
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    def end(self) -> None:
        """The answer is complete, or the app has returned."""
        self.ended = self.ended or time.monotonic()

    @property
    def is_long(self) -> bool:
        """Whether it took longer than a request may take unsampled."""
        return self.ended - self.began > LONG


class Ledger:
    """All requests of the session, and the tasks of which snapshots were kept.

    Args:
        every: one of so many requests is made long.
        feeds: whether a task is fed for each request.
    """

    def __init__(self, every: int, feeds: bool) -> None:
        self.asked: list[Asked] = []
        self.kept: set[str] = set()
        self._every = every
        self._numbers = itertools.count(1)
        self._lengthened = itertools.count(1)
        # As good as that of any app: they are all of one service.
        self._application = Application(0, SETTINGS) if feeds else None

    def begin(self, name: Callable[[], tuple[str, str]]) -> Asked:
        """A request begins; ``name`` tells its method and path, for which a task is fed."""
        asked = Asked(f"task-{next(self._numbers)}")
        if self._application is not None:
            feed(self._application, asked.task_id, *name())
        asked.began = time.monotonic()
        self.asked.append(asked)
        return asked

    def lengthens(self) -> int:
        """Whether the request that begins is to be made long, and how often one was before it."""
        number, left = divmod(next(self._lengthened), self._every)
        return 0 if left else number

    def watch_snapshots(self) -> None:
        """Note from now on which tasks have snapshots that the reporter took."""
        init = Reporter.__init__

        @functools.wraps(init)
        def noting(reporter: Reporter, *args: Any, **kwargs: Any) -> None:
            init(reporter, *args, **kwargs)
            add = reporter.snapshots.add

            def noted(snapshot: Snapshot) -> bool:
                is_kept = add(snapshot)
                if is_kept:
                    self.kept.add(snapshot.task_id)
                return is_kept

            reporter.snapshots.add = noted  # type: ignore[method-assign, assignment]

        Reporter.__init__ = noting  # type: ignore[method-assign, assignment]

    def unsampled(self) -> list[str]:
        """The tests that made the long requests of which there are no snapshots."""
        return [asked.test for asked in self.asked if asked.is_long and asked.task_id not in self.kept]

    def sums(self) -> Sums:
        """What came of it."""
        long = [asked for asked in self.asked if asked.is_long]
        return Sums(len(self.asked), len(long), sum(asked.task_id in self.kept for asked in long))


@dataclass(frozen=True)
class Sums:
    """Numbers of requests: all, the long ones, and those of them that were sampled."""

    requests: int
    long: int
    sampled: int

    def verdict(self) -> str:
        """What is wrong with them; empty if nothing is."""
        if self.long < FEWEST:
            return f"only {self.long} requests took longer than {LONG * 1000:.0f} ms: too few to tell"
        if self.sampled < SHARE * self.long:
            return f"only {self.sampled} of {self.long} requests longer than {LONG * 1000:.0f} ms were sampled"
        return ""


def feed(application: Application, task_id: str, method: str, path: str) -> None:
    """Let a task begin that asks for this path, as a command from the backend does; the one before it is over."""
    service = application.attach()
    if service is None:
        return  # we are off: it will show
    tasks, now = service.tasks, time.time_ns() // 1_000_000
    before = tasks.current
    if before is not None and service.tasks._sampler.holds(before):
        tasks.current = None  # its request goes on, and is sampled on
    elif before is not None:
        tasks.stop_current_profile_task(before)
    arguments = {
        "SerialNumber": task_id,
        "TaskId": task_id,
        "EndpointName": application.names.path(method, path),
        "Duration": "1",
        "MinDurationThreshold": "0",
        "DumpPeriod": "10",
        "MaxSamplingCount": "1",
        "StartTime": str(now),
        "CreateTime": str(now),
    }
    tasks.receive([TaskCommand("ProfileTaskQuery", arguments)], first_poll=False)
