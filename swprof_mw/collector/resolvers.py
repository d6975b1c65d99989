"""The fields of GraphQL's ``Query`` and ``Mutation``, answered from a store."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from swprof_mw import __version__
from swprof_mw.collector import analysis, ids, period, tasks, traces, views
from swprof_mw.collector.errors import StoreError
from swprof_mw.collector.flat import View
from swprof_mw.collector.records import MINUTE
from swprof_mw.collector.store import Store

LONG_RANGE = 2**63
"""GraphQL's ``Long`` is from minus this to below it."""

BLANKS = "".join(map(chr, range(0x21)))
"""What OAP cuts off an endpoint's name."""

MOST_STRETCHES = 20
"""Stretches of one analysis; each may hold thousands of snapshots."""


class Resolvers:
    """Each method has its field's name and arguments, as the schema says.

    Whatever is wrong with an argument is a ``ValueError``, which the asker reads.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def version(self) -> str:
        """The collector's own."""
        return f"swprof_mw-{__version__}"

    def getTimeInfo(self) -> View:
        """The server's time zone and clock: in that zone ``Duration`` is read."""
        return {"timezone": time.strftime("%z"), "currentTimestamp": _now()}

    def listServices(self, layer: str | None = None) -> list[View]:
        """The services of a layer, or of all."""
        return [views.service(one) for one in self._store.services() if layer in (None, "", one.layer)]

    def listInstances(self, duration: Mapping[str, str], serviceId: str) -> list[View]:
        """The processes of a service that were heard of during the time."""
        when = period.parse(duration)
        found = self._store.instances(_service(serviceId))
        return [views.instance(one) for one in found if when.meets(one.first_seen, one.last_seen)]

    def findEndpoint(self, serviceId: str, limit: int, keyword: str | None = None) -> list[View]:
        """At most ``limit`` endpoints whose names hold ``keyword``, the newest (by the minute) first."""
        if limit < 0:
            raise ValueError(f"limit must not be negative: {limit}")
        found = [one for one in self._store.endpoints(_service(serviceId)) if (keyword or "") in one.name]
        found.sort(key=lambda one: one.first_seen // MINUTE, reverse=True)
        return [views.endpoint(one) for one in found[:limit]]

    def createProfileTask(self, creationRequest: Mapping[str, Any] | None = None) -> View:
        """A new task's id, or the reason why there is none."""
        if creationRequest is None:
            raise ValueError("creationRequest is missing")
        try:
            created = tasks.create(self._store, _task_request(creationRequest), _now())
        except StoreError as error:
            raise ValueError(str(error)) from error
        return {"id": created.id, "errorReason": created.error_reason}

    def getProfileTaskList(self, serviceId: str | None = None, endpointName: str | None = None) -> list[View]:
        """The tasks of a service, or of all, the latest start first."""
        found = self._store.tasks(serviceId or None)
        chosen = [task for task in found if endpointName in (None, "", task.endpoint_name)]
        return [views.task(task, self._store.logs(task.id)) for task in chosen]

    def getProfileTaskLogs(self, taskID: str | None = None) -> list[View]:
        """What instances did with a task, the newest first."""
        return [views.task_log(log) for log in self._store.logs(taskID or "")]

    def getProfileTaskSegments(self, taskID: str) -> list[View]:
        """The requests a task has profiled, in the order of their starts."""
        found = sorted(self._store.profiled(taskID), key=lambda segment: segment.start)
        return [views.profiled(segment) for segment in found]

    def getSegmentsProfileAnalyze(self, queries: list[Mapping[str, Any]]) -> View:
        """The trees of some stretches together."""
        if len(queries) > MOST_STRETCHES:
            raise ValueError(f"more than {MOST_STRETCHES} queries")
        return views.analysis(analysis.analyze(self._stretch(query) for query in queries))

    def _stretch(self, query: Mapping[str, Any]) -> analysis.Stretch:
        times = query["timeRange"]
        return analysis.Stretch(self._store.snapshots(query["segmentId"]), _long(times["start"]), _long(times["end"]))

    def queryBasicTraces(self, condition: Mapping[str, Any] | None = None, debug: bool | None = None) -> View:
        """A page of the segments that meet the condition."""
        if condition is None:
            raise ValueError("condition is missing")
        asked = traces.search(condition)
        found = self._store.search(asked) if asked is not None else []
        return {"traces": [views.trace(segment) for segment in found]}


def _task_request(asked: Mapping[str, Any]) -> tasks.TaskRequest:
    start = asked.get("startTime")
    return tasks.TaskRequest(
        service_id=asked["serviceId"],
        endpoint_name=asked["endpointName"].strip(BLANKS),
        duration=asked["duration"],
        min_duration_threshold=asked["minDurationThreshold"],
        dump_period=asked["dumpPeriod"],
        max_sampling_count=asked["maxSamplingCount"],
        start_time=None if start is None else _long(start),
    )


def _service(identifier: str) -> str:
    """The service's name; for any other id a name that none has: OAP answers such a question with nothing."""
    try:
        return ids.exact_service_name(identifier)
    except ValueError:
        return ""


def _long(value: Any) -> int:
    """A ``Long`` as it comes in: a number, or its digits."""
    whole = isinstance(value, int | str) and not isinstance(value, bool)
    whole = whole or (isinstance(value, float) and value.is_integer())
    if not whole or not -LONG_RANGE <= int(value) < LONG_RANGE:
        raise ValueError(f"not a Long: {value!r}")
    return int(value)


def _now() -> int:
    return time.time_ns() // 1_000_000
