"""Everything the collector was told, in memory and bounded: the newest is kept, the oldest goes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TypeVar

from swprof_mw.collector.profiles import Profiles
from swprof_mw.collector.records import (
    Endpoint,
    Instance,
    KeyValues,
    Segment,
    Service,
    Snapshot,
    Task,
    TaskLog,
    weigh,
)

K = TypeVar("K")
V = TypeVar("V")


MOST_PROPERTIES = 100
PROPERTIES_SIZE = 20 * 1024
"""How many of an instance are kept, and of how many bytes together, roughly: the newest."""

IN_ALL = 20
"""So many times what a service may have of names, and a task of logs, there may be of all of them together."""


@dataclass
class _Kept:
    """What is kept of one service; ``service`` is ``None`` as long as only properties were told."""

    service: Service | None = None
    instances: dict[str, Instance] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    segments: dict[str, None] = field(default_factory=dict)

    @property
    def names(self) -> int:
        """How many instances and endpoints."""
        return len(self.instances) + len(self.endpoints)


class Store:
    """Safe to use from any thread; what it returns are copies.

    Args:
        segments: kept for each service. A profiled segment does not count: it stays as long as its snapshots.
        snapshots: kept in all. The oldest segment's go first, all of them: a profile with holes misleads.
        names: services, and for each of them instances and endpoints; tasks in all, and logs of each task.
        size: bytes, roughly, of the profiled segments with their snapshots, and as many of the others.
    """

    def __init__(
        self, segments: int = 1_000, snapshots: int = 200_000, names: int = 1_000, size: int = 256 * 1024 * 1024
    ) -> None:
        self._lock = threading.Lock()
        self._max_segments, self._max_names, self._max_size = segments, names, size
        self._services: dict[str, _Kept] = {}
        self._segments: dict[str, Segment] = {}
        self._size = self._names = 0
        self._profiles = Profiles(snapshots, size)
        self._tasks: dict[str, Task] = {}
        self._logs: dict[str, list[TaskLog]] = {}

    # What agents tell

    def seen(self, service: str, instance: str, now: int, layer: str = "GENERAL") -> None:
        """A process of ``service`` was heard of at ``now``."""
        with self._lock:
            self._see(service, instance, now, layer)
            self._bound_names()

    def described(self, service: str, instance: str, now: int, language: str | None, properties: KeyValues) -> None:
        """A process told its properties, added to those it told before. By itself this makes no service known."""
        with self._lock:
            instances = self._see(service, instance, now).instances
            known = instances[instance]
            merged = _newest(tuple({**dict(known.properties), **dict(properties)}.items()))
            instances[instance] = replace(known, language=language or known.language, properties=merged)
            self._bound_names()

    def add_segment(self, segment: Segment, now: int) -> None:
        """Keep a segment, and what is learnt from it: its service, instance and endpoints."""
        with self._lock:
            kept = self._see(segment.service, segment.instance, now, "GENERAL")
            for name in segment.endpoints:
                endpoint = kept.endpoints.get(name) or Endpoint(segment.service, name, now)
                self._name(kept.endpoints, name, endpoint)
            self._bound_names()
            self._drop(segment.segment_id)
            if segment.segment_id in self._profiles:
                self._profiles.attach(segment)
            elif segment.service in self._services:
                self._add(segment, kept)

    def add_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot. One that has the number of an earlier one of its segment is ignored, as OAP does."""
        with self._lock:
            self._profiles.add(snapshot)
            if snapshot.segment_id in self._profiles and (segment := self._drop(snapshot.segment_id)):
                self._profiles.attach(segment)

    def add_log(self, log: TaskLog) -> None:
        """Keep what an instance did with a task; for a task that is not known, nothing."""
        with self._lock:
            if log.task_id in self._tasks:
                logs = self._logs.setdefault(log.task_id, [])
                logs.append(log)
                del logs[: -self._max_names]
                self._bound_logs()

    # What people do

    def add_task(self, task: Task) -> Task | None:
        """Keep a task unless another of its service runs at its time; then ``None``.

        Its time of creation is moved on if needed, so that it is newer than each earlier task's: by that time
        agents tell what they know.
        """
        with self._lock:
            tasks = [other for other in self._tasks.values() if other.service_id == task.service_id]
            if any(task.clashes(other) for other in tasks):
                return None
            newest = max((other.create_time for other in tasks), default=0)
            task = task.created_at(max(task.create_time, newest + 1))
            _keep(self._tasks, task.id, task, self._max_names)
            self._logs = {task_id: logs for task_id, logs in self._logs.items() if task_id in self._tasks}
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
            return [*self._segments.values(), *self._profiles]

    def snapshots(self, segment_id: str) -> list[Snapshot]:
        """The snapshots of a segment; none if it is not known."""
        with self._lock:
            return self._profiles.snapshots(segment_id)

    def profiled(self, task_id: str) -> list[Segment]:
        """The segments a task has profiled: those that are kept and have the task's snapshot number 0."""
        with self._lock:
            return self._profiles.of_task(task_id)

    def tasks(self, service_id: str | None = None) -> list[Task]:
        """The tasks of one service or of all, the latest start first."""
        with self._lock:
            found = [task for task in self._tasks.values() if service_id in (None, task.service_id)]
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
        self._name(kept.instances, instance, replace(known, last_seen=now))
        self._services[service] = kept
        while len(self._services) > self._max_names:
            self._forget(next(iter(self._services)))
        return kept

    def _name(self, names: dict[str, V], name: str, value: V) -> None:
        """Keep an instance or endpoint; count them."""
        before = len(names)
        _keep(names, name, value, self._max_names)
        self._names += len(names) - before

    def _bound_names(self) -> None:
        """A service that has too many names loses them, not those that live beside it."""
        while self._names > IN_ALL * self._max_names:
            self._forget(max(self._services, key=lambda service: self._services[service].names))

    def _forget(self, service: str) -> None:
        kept = self._services.pop(service)
        self._names -= kept.names
        for segment_id in kept.segments:
            self._size -= self._segments.pop(segment_id).weight

    def _add(self, segment: Segment, kept: _Kept) -> None:
        self._segments[segment.segment_id] = segment
        self._size += segment.weight
        kept.segments[segment.segment_id] = None
        while len(kept.segments) > self._max_segments:
            self._drop(next(iter(kept.segments)))
        while self._size > self._max_size:
            self._drop(next(iter(self._segments)))

    def _drop(self, segment_id: str) -> Segment | None:
        """Keep that segment no longer, if it is one that has no snapshots."""
        segment = self._segments.pop(segment_id, None)
        if segment is not None:
            self._size -= segment.weight
            del self._services[segment.service].segments[segment_id]
        return segment

    def _bound_logs(self) -> None:
        while sum(map(len, self._logs.values())) > IN_ALL * self._max_names:
            del self._logs[next(iter(self._logs))]


def _keep(mapping: dict[K, V], key: K, value: V, limit: int) -> None:
    """Set ``key``, and drop the oldest keys above ``limit``."""
    mapping[key] = value
    while len(mapping) > limit:
        del mapping[next(iter(mapping))]


def _newest(properties: KeyValues) -> KeyValues:
    properties = properties[-MOST_PROPERTIES:]
    while weigh(properties) > PROPERTIES_SIZE:
        properties = properties[1:]
    return properties
