"""Records as GraphQL shows them: for each type of the schema one function, with the type's field names as keys."""

from __future__ import annotations

from collections.abc import Iterable

from swprof_mw.collector import ids
from swprof_mw.collector.analysis import Analysis, Tree
from swprof_mw.collector.flat import Flat, View
from swprof_mw.collector.records import Endpoint, Instance, KeyValues, Segment, Service, Span, Task, TaskLog

OPERATIONS = {"NOTIFIED": 1, "EXECUTION_FINISHED": 2}
"""OAP's numbers of what an instance can do with a task; they are part of a log's id."""


def service(one: Service) -> View:
    """``Service``; a name like ``group::name`` has a group."""
    group, _, short = one.name.rpartition("::")
    return {
        "id": ids.service_id(one.name),
        "name": one.name,
        "group": group,
        "shortName": short,
        "layers": [one.layer],
        "normal": True,
    }


def instance(one: Instance) -> View:
    """``ServiceInstance``."""
    identifier = ids.instance_id(one.service, one.name)
    attributes = [{"name": name, "value": value} for name, value in one.properties]
    return {
        "id": identifier,
        "name": one.name,
        "language": one.language,
        "instanceUUID": identifier,
        "attributes": attributes,
    }


def endpoint(one: Endpoint) -> View:
    """``Endpoint``."""
    return {"id": ids.endpoint_id(one.service, one.name), "name": one.name}


def task(one: Task, logs: Iterable[TaskLog]) -> View:
    """``ProfileTask`` with its logs."""
    return {
        "id": one.id,
        "serviceId": one.service_id,
        "serviceName": one.service_name,
        "endpointName": one.endpoint_name,
        "startTime": one.start_time,
        "duration": one.duration,
        "minDurationThreshold": one.min_duration_threshold,
        "dumpPeriod": one.dump_period,
        "maxSamplingCount": one.max_sampling_count,
        "logs": [task_log(log) for log in logs],
    }


def task_log(one: TaskLog) -> View:
    """``ProfileTaskLog``."""
    place = ids.instance_id(one.service, one.instance)
    return {
        "id": f"profile_task_log_{one.task_id}_{place}_{OPERATIONS[one.operation]}_{one.time}",
        "instanceId": place,
        "instanceName": one.instance,
        "operationType": one.operation,
        "operationTime": one.time,
    }


def trace(one: Segment) -> View:
    """``BasicTrace``."""
    return {
        "segmentId": one.segment_id,
        "endpointNames": [one.endpoint_name],
        "duration": one.duration,
        "start": str(one.start),
        "isError": one.is_error,
        "traceIds": [one.trace_id],
    }


def profiled(one: Segment) -> View:
    """``ProfiledTraceSegments``: OAP lists each profiled segment by itself, and all of its spans as profiled."""
    return {
        "traceId": one.trace_id,
        "instanceId": ids.instance_id(one.service, one.instance),
        "instanceName": one.instance,
        "endpointNames": [one.endpoint_name],
        "duration": one.duration,
        "start": str(one.start),
        "spans": [_span(one, span) for span in one.spans],
    }


def _span(of: Segment, one: Span) -> View:
    return {
        "spanId": one.span_id,
        "parentSpanId": one.parent_span_id,
        "segmentId": of.segment_id,
        "refs": [],  # OAP fills them for traces, and leaves them out here
        "serviceCode": of.service,
        "serviceInstanceName": of.instance,
        "startTime": one.start_time,
        "endTime": one.end_time,
        "endpointName": one.endpoint_name,
        "type": one.type,
        "peer": one.peer,
        "component": one.component,
        "isError": one.is_error,
        "layer": one.layer,
        "tags": _pairs(one.tags),
        "logs": [{"time": log.time, "data": _pairs(log.data)} for log in one.logs],
        "profiled": True,
    }


def _pairs(pairs: KeyValues) -> list[View]:
    return [{"key": key, "value": value} for key, value in pairs]


def analysis(one: Analysis) -> View:
    """``ProfileAnalyzation``."""
    return {"tip": one.tip, "trees": [{"elements": _elements(tree)} for tree in one.trees]}


def _elements(one: Tree) -> Flat:
    return Flat(
        {
            "id": list(map(str, one.ids)),
            "parentId": list(map(str, one.parent_ids)),
            "codeSignature": one.code_signatures,
            "duration": one.durations,
            "durationChildExcluded": one.durations_child_excluded,
            "count": one.counts,
        }
    )
