"""A client of OAP's GraphQL queries, for a real OAP and the embedded collector alike."""

from __future__ import annotations

import base64
import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swprof_mw.query.transport import OapError, Reply, Transport, bearer

__all__ = ["Element", "OapClient", "OapError", "Queries", "Request", "Span", "Task", "TaskRefused"]

LAYER = "GENERAL"
"""Where OAP files services that have an agent."""

MOST_ENDPOINTS = 1_000

_SERVICES = "query($layer: String){listServices(layer: $layer){name}}"
_ENDPOINTS = """query($service: ID!, $keyword: String, $limit: Int!){
    findEndpoint(serviceId: $service, keyword: $keyword, limit: $limit){name}}"""
_CREATE = """mutation($request: ProfileTaskCreationRequest){
    createProfileTask(creationRequest: $request){errorReason id}}"""
_TASKS = """query($service: ID){getProfileTaskList(serviceId: $service){
    id endpointName startTime duration logs{instanceName operationType operationTime}}}"""
_SEGMENTS = """query($task: ID!){getProfileTaskSegments(taskID: $task){traceId instanceName duration start
    spans{spanId parentSpanId segmentId startTime endTime endpointName type isError profiled tags{key value}}}}"""
_ANALYZE = """query($queries: [SegmentProfileAnalyzeQuery!]!){getSegmentsProfileAnalyze(queries: $queries){
    tip trees{elements{id parentId codeSignature duration durationChildExcluded count}}}}"""


class TaskRefused(OapError):
    """OAP did not create a task; the text is its reason."""


@dataclass(frozen=True)
class Element:
    """A node as OAP lists it: ``parent_id`` 0 for the root, ``own`` the part of ``duration`` no child accounts for."""

    id: int
    parent_id: int
    code_signature: str
    duration: int
    own: int
    count: int


@dataclass(frozen=True)
class Task:
    """A profile task: ``start`` in ms since the epoch, ``duration`` in minutes, and the instances that logged it."""

    id: str
    endpoint: str
    start: int
    duration: int
    notified: frozenset[str]
    finished: frozenset[str]


@dataclass(frozen=True)
class Span:
    """A span of a profiled request; times in ms since the epoch."""

    span_id: int
    parent_span_id: int
    segment_id: str
    start: int
    end: int
    endpoint: str
    type: str
    is_error: bool
    profiled: bool
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Request:
    """A profiled request, with its spans in the order of the answer."""

    trace_id: str
    instance: str
    spans: tuple[Span, ...]

    @property
    def entry(self) -> Span | None:
        """The span to show: of those that were profiled the entry span, or else the topmost."""
        profiled = [span for span in self.spans if span.profiled]
        return min(profiled, key=lambda span: (span.type != "Entry", span.span_id), default=None)


class Queries(ABC):
    """What can be asked of an OAP. Every method raises ``OapError`` if it gets no answer."""

    @abstractmethod
    def query(self, text: str, **variables: Any) -> Any:
        """The ``data`` of the answer to a GraphQL query. An answer with errors is an ``OapError``."""

    def services(self) -> list[str]:
        """The names of the services that have an agent."""
        return [one["name"] for one in self.query(_SERVICES, layer=LAYER)["listServices"]]

    def endpoints(self, service: str, keyword: str = "", limit: int = MOST_ENDPOINTS) -> list[str]:
        """The names of at most ``limit`` endpoints of the service of that name that hold ``keyword``."""
        answer = self.query(_ENDPOINTS, service=service_id(service), keyword=keyword, limit=limit)
        return [one["name"] for one in answer["findEndpoint"]]

    def create_task(
        self,
        service: str,
        endpoint: str,
        *,
        duration: int = 1,
        min_duration: int = 0,
        period: int = 10,
        samples: int = 5,
        start: int | None = None,
    ) -> str:
        """Create a profile task and return its id. Raises ``TaskRefused`` with OAP's reason.

        Args:
            service, endpoint: names.
            duration: minutes.
            min_duration: ms a request has to last before it is profiled.
            period: ms between two snapshots.
            samples: how many requests are profiled.
            start: ms since the epoch; now by default.
        """
        request = {
            "serviceId": service_id(service),
            "endpointName": endpoint,
            "duration": duration,
            "minDurationThreshold": min_duration,
            "dumpPeriod": period,
            "maxSamplingCount": samples,
            "startTime": start,
        }
        created = self.query(_CREATE, request=request)["createProfileTask"]
        if not created["id"]:
            raise TaskRefused(created["errorReason"] or "no reason was given")
        return str(created["id"])

    def tasks(self, service: str) -> list[Task]:
        """The tasks of the service of that name."""
        return [_task(one) for one in self.query(_TASKS, service=service_id(service))["getProfileTaskList"]]

    def segments(self, task_id: str) -> list[Request]:
        """The requests the task has profiled, as far as OAP has stored them."""
        return [_request(one) for one in self.query(_SEGMENTS, task=task_id)["getProfileTaskSegments"]]

    def analyze(self, segment: str, start: int, end: int) -> tuple[str | None, list[list[Element]]]:
        """OAP's tip and its trees for a segment's snapshots from ``start`` to ``end``, ms since the epoch."""
        asked = [{"segmentId": segment, "timeRange": {"start": start, "end": end}}]
        answer = self.query(_ANALYZE, queries=asked)["getSegmentsProfileAnalyze"]
        return answer["tip"], [[_element(one) for one in tree["elements"]] for tree in answer["trees"]]


class OapClient(Queries):
    """Asks the OAP at ``url`` (``http://127.0.0.1:12800``, with or without ``/graphql``).

    Args:
        url: where it is.
        token: what is shown as ``Authorization: Bearer``, printable ASCII; empty: nothing.
        authorization: that header as it is, for another scheme than Bearer.

    Raises:
        ValueError: ``url`` is not http(s).
    """

    def __init__(self, url: str, token: str = "", authorization: str = "") -> None:
        self._transport = Transport(url, authorization or (bearer(token) if token else ""))

    @property
    def url(self) -> str:
        """Where queries go."""
        return self._transport.url

    def query(self, text: str, **variables: Any) -> Any:
        """The ``data`` of the answer to a GraphQL query. An answer with errors is an ``OapError``."""
        reply = self._transport.post(json.dumps({"query": text, "variables": variables}).encode())
        return data(_parsed(self.url, reply), self.url)


def data(answer: Any, whose: str) -> Any:
    """The ``data`` of an answer. Raises ``OapError``, which names ``whose`` it is, if there is none without errors."""
    if not isinstance(answer, dict):
        raise OapError(f"{whose} does not answer as an OAP does")
    if errors := answer.get("errors"):
        listed = errors if isinstance(errors, list) else [errors]
        told = [error.get("message") if isinstance(error, dict) else error for error in listed]
        raise OapError(f"{whose}: " + "; ".join(map(str, told)))
    if not isinstance(answer.get("data"), dict):
        raise OapError(f"{whose} does not answer as an OAP does: no data")
    return answer["data"]


def _parsed(url: str, reply: Reply) -> Any:
    """A refused query says why in its body; whatever else answers does not. A redirect is no answer."""
    with contextlib.suppress(ValueError, RecursionError):
        if not 300 <= reply.status < 400:
            return json.loads(reply.content)
    if reply.status != 200:
        raise OapError(f"{url} answers {reply.status} {reply.reason}")
    raise OapError(f"{url} does not answer as an OAP does: no JSON")


def service_id(name: str) -> str:
    """OAP's id of the service of that name."""
    return base64.b64encode(name.encode()).decode() + ".1"


def _task(one: Mapping[str, Any]) -> Task:
    def of(operation: str) -> frozenset[str]:
        return frozenset(log["instanceName"] for log in one["logs"] if log["operationType"] == operation)

    return Task(
        id=one["id"],
        endpoint=one["endpointName"],
        start=one["startTime"],
        duration=one["duration"],
        notified=of("NOTIFIED"),
        finished=of("EXECUTION_FINISHED"),
    )


def _request(one: Mapping[str, Any]) -> Request:
    return Request(one["traceId"], one["instanceName"], tuple(_span(span) for span in one["spans"]))


def _span(one: Mapping[str, Any]) -> Span:
    return Span(
        span_id=one["spanId"],
        parent_span_id=one["parentSpanId"],
        segment_id=one["segmentId"],
        start=one["startTime"],
        end=one["endTime"],
        endpoint=one["endpointName"] or "",
        type=one["type"],
        is_error=bool(one["isError"]),
        profiled=one["profiled"],
        tags={tag["key"]: tag["value"] or "" for tag in one["tags"]},
    )


def _element(one: Mapping[str, Any]) -> Element:
    return Element(
        id=int(one["id"]),
        parent_id=int(one["parentId"]),
        code_signature=one["codeSignature"],
        duration=one["duration"],
        own=one["durationChildExcluded"],
        count=one["count"],
    )
