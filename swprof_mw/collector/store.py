"""Everything the collector was told, in memory and bounded: the newest is kept, the oldest goes."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from swprof_mw.collector.records import Endpoint, Instance, KeyValues, Segment, Service, Snapshot, Task, TaskLog

K = TypeVar("K")
V = TypeVar("V")


@dataclass
class _Kept:
    """What is kept of one service; ``service`` is ``None`` as long as only properties were told."""

    service: Service | None = None
    instances: dict[str, Instance] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)


class Store:
    """Safe to use from any thread; what it returns are copies.

    Args:
        segments: kept for each service. A profiled segment does not count: it stays as long as its snapshots.
        snapshots: kept in all. The oldest segment's go first, all of them: a profile with holes misleads.
        names: services, and for each of them instances, endpoints and tasks, and logs of each task.
    """

    def __init__(self, segments: int = 1_000, snapshots: int = 200_000, names: int = 1_000) -> None:
        self._lock = threading.Lock()
        self._max_segments, self._max_snapshots, self._max_names = segments, snapshots, names
        self._services: dict[str, _Kept] = {}
        self._profiled: dict[str, Segment] = {}
        self._snapshots: dict[str, dict[int, Snapshot]] = {}
        self._snapshot_count = 0
        self._tasks: dict[str, list[Task]] = {}
        self._logs: defaultdict[str, list[TaskLog]] = defaultdict(list)

    # What agents tell

    def seen(self, service: str, instance: str, now: int, layer: str = "GENERAL") -> None:
        """A process of ``service`` was heard of at ``now``."""
        with self._lock:
            self._see(service, instance, now, layer)

    def described(self, service: str, instance: str, now: int, language: str | None, properties: KeyValues) -> None:
        """A process told its properties, added to those it told before. By itself this makes no service known."""
        with self._lock:
            instances = self._see(service, instance, now).instances
            known = instances[instance]
            merged = tuple({**dict(known.properties), **dict(properties)}.items())
            instances[instance] = replace(known, language=language or known.language, properties=merged)

    def add_segment(self, segment: Segment, now: int) -> None:
        """Keep a segment, and what is learnt from it: its service, instance and endpoints."""
        with self._lock:
            kept = self._see(segment.service, segment.instance, now, "GENERAL")
            for name in segment.endpoints:
                endpoint = kept.endpoints.get(name) or Endpoint(segment.service, name, now)
                _keep(kept.endpoints, name, endpoint, self._max_names)
            if segment.segment_id in self._snapshots:
                self._profiled[segment.segment_id] = segment
            else:
                _keep(kept.segments, segment.segment_id, segment, self._max_segments)

    def add_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot. One that has the number of an earlier one of its segment is ignored, as OAP does."""
        with self._lock:
            if snapshot.segment_id not in self._snapshots:
                self._snapshots[snapshot.segment_id] = {}
                self._promote(snapshot.segment_id)
            kept = self._snapshots[snapshot.segment_id]
            if snapshot.sequence not in kept:
                kept[snapshot.sequence] = snapshot
                self._snapshot_count += 1
                self._trim_snapshots(snapshot)

    def add_log(self, log: TaskLog) -> None:
        """Keep what an instance did with a task; for a task that is not known, nothing."""
        with self._lock:
            if any(task.id == log.task_id for tasks in self._tasks.values() for task in tasks):
                logs = self._logs[log.task_id]
                logs.append(log)
                del logs[: -self._max_names]

    # What people do

    def add_task(self, task: Task) -> Task | None:
        """Keep a task unless another of its service runs at its time; then ``None``.

        Its time of creation is moved on if needed, so that it is newer than each earlier task's: by that time
        agents tell what they know.
        """
        with self._lock:
            tasks = self._tasks.get(task.service_id, [])
            if any(task.clashes(other) for other in tasks):
                return None
            newest = max((other.create_time for other in tasks), default=0)
            task = task.created_at(max(task.create_time, newest + 1))
            kept = [*tasks, task]
            for dropped in kept[: -self._max_names]:
                self._logs.pop(dropped.id, None)
            _keep(self._tasks, task.service_id, kept[-self._max_names :], self._max_names)
            return task

    def services(self) -> list[Service]:
        """The services that were heard of, the longest known first."""
        with self._lock:
            return [kept.service for kept in self._services.values() if kept.service]

    def instances(self, service: str) -> list[Instance]:
        """The processes of the service of that name, the longest known first."""
        with self._lock:
            return list(self._of(service).instances.values())

    def endpoints(self, service: str) -> list[Endpoint]:
        """The endpoints of the service of that name, the longest known first."""
        with self._lock:
            return list(self._of(service).endpoints.values())

    def segments(self) -> list[Segment]:
        """All segments."""
        with self._lock:
            plain = [segment for kept in self._services.values() for segment in kept.segments.values()]
            return [*plain, *self._profiled.values()]

    def snapshots(self, segment_id: str) -> list[Snapshot]:
        """The snapshots of a segment; none if it is not known."""
        with self._lock:
            return list(self._snapshots.get(segment_id, {}).values())

    def profiled(self, task_id: str) -> list[Segment]:
        """The segments a task has profiled: those that are kept and have the task's snapshot number 0."""
        with self._lock:
            found = [(segment, self._snapshots[segment_id].get(0)) for segment_id, segment in self._profiled.items()]
        return [segment for segment, first in found if first is not None and first.task_id == task_id]

    def tasks(self, service_id: str | None = None) -> list[Task]:
        """The tasks of one service or of all, the latest start first."""
        with self._lock:
            groups: Iterable[list[Task]] = (
                self._tasks.values() if service_id is None else [self._tasks.get(service_id, [])]
            )
            found = [task for tasks in groups for task in tasks]
        return sorted(found, key=lambda task: task.start_time, reverse=True)

    def logs(self, task_id: str) -> list[TaskLog]:
        """What instances did with a task, the newest first."""
        with self._lock:
            return self._logs.get(task_id, [])[::-1]

    # Under the lock

    def _of(self, service: str) -> _Kept:
        return self._services.get(service) or _Kept()

    def _see(self, service: str, instance: str, now: int, layer: str | None = None) -> _Kept:
        kept = self._of(service)
        if layer is not None:
            kept.service = kept.service or Service(service, layer)
        known = kept.instances.get(instance) or Instance(service, instance, now, now)
        _keep(kept.instances, instance, replace(known, last_seen=now), self._max_names)
        _keep(self._services, service, kept, self._max_names)
        return kept

    def _promote(self, segment_id: str) -> None:
        for kept in self._services.values():
            if segment := kept.segments.pop(segment_id, None):
                self._profiled[segment_id] = segment

    def _trim_snapshots(self, newest: Snapshot) -> None:
        while self._snapshot_count > self._max_snapshots:
            oldest = next(iter(self._snapshots))
            if oldest == newest.segment_id:  # it fills the store alone: then it ends here
                del self._snapshots[oldest][newest.sequence]
                self._snapshot_count -= 1
                return
            self._snapshot_count -= len(self._snapshots.pop(oldest))
            self._profiled.pop(oldest, None)


def _keep(mapping: dict[K, V], key: K, value: V, limit: int) -> None:
    """Set ``key``, and drop the oldest keys above ``limit``."""
    mapping[key] = value
    while len(mapping) > limit:
        del mapping[next(iter(mapping))]
