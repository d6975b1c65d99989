"""What the process's agent would send, for tests without a backend."""

from __future__ import annotations

import itertools
import time

from swprof_mw import agent
from swprof_mw.agent import Agent
from swprof_mw.profiling.task import ProfileTask
from swprof_mw.records import Finish, Segment, Snapshot
from swprof_mw.service import Service

_numbers = itertools.count(1)


def profile_task(endpoint: str, **changes: object) -> ProfileTask:
    """A task that starts now, for a minute, at 10 ms, for up to 9 requests; ``changes`` are attributes of it."""
    number = next(_numbers)
    now = time.time_ns() // 1_000_000
    attributes: dict[str, object] = {
        "serial_number": f"serial-{number}",
        "task_id": f"task-{number}",
        "endpoint_name": endpoint,
        "duration": 1,
        "min_duration_threshold": 0,
        "dump_period": 10,
        "max_sampling_count": 9,
        "start_time": now,
        "create_time": now,
    }
    return ProfileTask(**{**attributes, **changes})  # type: ignore[arg-type]


class Recorded:
    """Reads the queues of this process's agent. The first request (or ``Application.attach``) starts the agent."""

    @property
    def agent(self) -> Agent:
        """This process's agent."""
        found = agent.current()
        assert found is not None, "no request has started the agent yet"
        return found

    def service(self, name: str = "") -> Service:
        """The service of that name, or the only one."""
        services = self.agent.services
        return services[name] if name else next(iter(services.values()))

    @property
    def segments(self) -> list[Segment]:
        """Segments queued so far, oldest first."""
        return [ended.segment() for ended in self.agent.reporter.segments.batch(100_000)]

    @property
    def last(self) -> Segment:
        """The newest segment."""
        return self.segments[-1]

    @property
    def snapshots(self) -> list[Snapshot]:
        """Snapshots queued so far, oldest first, once the sampler has closed every request that ended."""
        self.settle()
        return list(self.agent.reporter.snapshots.batch(100_000))

    @property
    def finishes(self) -> list[Finish]:
        """Finish reports queued so far."""
        return list(self.agent.reporter.finishes.batch(1_000))

    def profile(self, endpoint: str, service: str = "", **changes: object) -> ProfileTask:
        """Feed a running task for ``endpoint`` to the service; see ``profile_task`` for ``changes``."""
        task = profile_task(endpoint, **changes)
        self.service(service).tasks.add_profile_task(task)
        return task

    def settle(self, timeout: float = 5.0) -> None:
        """Wait until the sampler has closed every request that ended."""
        contexts = [service.tasks.current for service in self.agent.services.values()]
        deadline = time.monotonic() + timeout
        while any(context is not None and self.agent.sampler.holds(context) for context in contexts):
            assert time.monotonic() < deadline, "the sampler did not close the requests that ended"
            time.sleep(0.002)
