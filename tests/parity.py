"""What a collector and a real OAP are told alike, so that both can be asked the same."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import grpc

from swprof_mw.query.client import OapClient, service_id
from tests.oap.period import days
from tests.test_collector import Agent, Row

STORED_WITHIN = 20.0
"""Seconds a real OAP may take to store what it was sent."""

ANALYZE = (
    "query($q: [SegmentProfileAnalyzeQuery!]!){getSegmentsProfileAnalyze(queries: $q)"
    "{tip trees{elements{id parentId codeSignature duration durationChildExcluded count}}}}"
)
TRACES = """query($c: TraceQueryCondition){queryBasicTraces(condition: $c)
    {traces{segmentId endpointNames duration start isError traceIds}}}"""
SEGMENTS = """query($t: ID!){getProfileTaskSegments(taskID: $t){traceId instanceId instanceName endpointNames duration
    start spans{spanId parentSpanId segmentId refs{traceId} serviceCode serviceInstanceName startTime endTime
    endpointName type peer component isError layer tags{key value} logs{time data{key value}} profiled}}}"""
CREATE = """mutation($r: ProfileTaskCreationRequest){createProfileTask(creationRequest: $r){errorReason id}}"""

RECORDINGS: dict[str, list[Row]] = {
    "plain": [(n, n * 10, ["e", "a" if n < 5 else "b"]) for n in range(10)],
    "gap": [(0, 0, ["e", "a"]), (1, 10, ["e", "a"]), (3, 500, ["e", "a"]), (4, 510, ["e", "a"])],
    "closed": [(0, 0, ["e", "a"]), (1, 10, ["e", "a"]), (2, 10, ["e", "b"]), (3, 24, ["e", "b"])],
    "roots": [(0, 0, ["e", "a"]), (1, 10, ["f", "a"]), (2, 20, ["e", "a"]), (3, 30, ["e", "a"])],
    "one": [(0, 7, ["e", "only"])],
    "later": [(10, 200, ["e", "a"]), (11, 210, ["e", "a"])],
    "hostile": [(n, n * 5, ['ü"\u202e', "</script><img onerror=x>", "x" * 10_000]) for n in range(2)],
}
"""Snapshots by what is remarkable about them; times are ms from the base."""


@dataclass
class Told:
    """A backend that was told of the requests below, all of one service of its own.

    Attributes:
        backend: where agents report to.
        url: where queries are answered.
        base: ms since the epoch, when the first request began.
    """

    backend: str
    url: str

    def __post_init__(self) -> None:
        self.client = OapClient(self.url)
        self.service = f"parity-{uuid.uuid4().hex[:8]}"
        self.id = service_id(self.service)
        self.task = f"{self.service}-task"
        self.base = time.time_ns() // 1_000_000 - 5_000
        with grpc.insecure_channel(self.backend) as channel:
            self._tell(Agent(channel, self.service))
        self._wait()

    def name(self, segment: str) -> str:
        """The id of a segment or a recording."""
        return f"{self.service}-{segment}"

    @property
    def days(self) -> dict[str, str]:
        """The day of the base and the next."""
        return days(self.base / 1000)

    def period(self, start: float = 0, end: float = 2, step: str = "MINUTE") -> dict[str, str]:
        """From so many to so many seconds after the base, as a ``Duration``."""
        form = {"DAY": "%Y-%m-%d", "HOUR": "%Y-%m-%d %H", "MINUTE": "%Y-%m-%d %H%M", "SECOND": "%Y-%m-%d %H%M%S"}[step]
        times = [time.strftime(form, time.localtime(self.base / 1000 + at)) for at in (start, end)]
        return {"start": times[0], "end": times[1], "step": step}

    def stretch(self, recording: str, start: int = -1_000, end: int = 1_000) -> dict[str, Any]:
        """A ``SegmentProfileAnalyzeQuery``, ms from the base."""
        return {
            "segmentId": self.name(recording),
            "timeRange": {"start": self.base + start, "end": self.base + end},
        }

    def trees(self, *stretches: dict[str, Any]) -> list[list[str]]:
        """An analysis: each element as ``id<parent frame duration/own xcount``, trees in order of their roots."""
        found = self.client.query(ANALYZE, q=list(stretches))["getSegmentsProfileAnalyze"]
        return sorted(
            [
                "{id}<{parentId} {codeSignature} {duration}/{durationChildExcluded} x{count}".format(**one)
                for one in tree["elements"]
            ]
            for tree in found["trees"]
        )

    def condition(self, **changes: Any) -> dict[str, Any]:
        """A ``TraceQueryCondition``: the service's requests, the longest first; a change to ``...`` leaves out."""
        plain = {
            "serviceId": self.id,
            "queryDuration": self.days,
            "traceState": "ALL",
            "queryOrder": "BY_DURATION",
            "paging": {"pageNum": 1, "pageSize": 20},
        }
        return {name: value for name, value in {**plain, **changes}.items() if value is not ...}

    def post(self, body: Any, **variables: Any) -> tuple[int, Any]:
        """Status and JSON of the answer to a query, or to a body of bytes; text where it is no JSON."""
        if not isinstance(body, bytes):
            body = json.dumps({"query": body, "variables": variables}).encode()
        target = urlsplit(self.client.url)
        connection = http.client.HTTPConnection(target.netloc, timeout=20)
        try:
            connection.request("POST", target.path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        is_json = (answer.getheader("Content-Type") or "").startswith("application/json")
        return answer.status, json.loads(content) if is_json else content.decode()

    def _tell(self, agent: Agent) -> None:
        agent.properties(("language", "Python"), ("OS Name", "Linux"), ("ipv4", "10.0.0.1"), ("ipv4", "10.0.0.2"))
        agent.like(self.service, "idle").keep_alive()
        other = agent.like(self.service, "two")
        tags = {"http.method": "GET", "http.status_code": "200", "http.url": "u"}
        failed = {"http.method": "POST", "http.status_code": "500"}
        inner = agent.span(self.base + 5, self.base + 9, "SELECT", spanId=1, parentSpanId=0, spanType=1, spanLayer=1)
        inner.peer = "db:5432"
        self._request(agent, "a", 0, 40, inner, tags=tags)
        self._request(agent, "b", 50, 30, tags=tags)
        self._request(agent, "failed", 100, 100, tags=failed, isError=True)
        self._request(agent, "zero", 200, 0)
        self._request(agent, "back", 300, -10)
        self._request(agent, "", 400, 60)
        self._request(other, 'ü"\u202e<b>', 1_000, 5, componentId=99_999)
        with_log = self._segment(agent, "log", 500, 20)
        log = with_log.spans[0].logs.add(time=self.base + 510)
        log.data.add(key="event", value="error")
        with_log.spans[0].refs.add(traceId="t", parentTraceSegmentId="s", parentService="p")
        agent.send(with_log)
        for segment in ("a", "log", "no-segment"):
            agent.snapshots(self.task, self.name(segment), [(0, self.base, ["e"]), (1, self.base + 5, ["e"])])
        agent.snapshots(self.task, self.name("b"), [(1, self.base + 50, ["e"])])  # without number 0
        for name, rows in RECORDINGS.items():
            agent.snapshots("other", self.name(name), [(n, self.base + at, stack) for n, at, stack in rows])

    def _request(self, agent: Agent, name: str, start: int, duration: int, *inner: Any, **fields: Any) -> None:
        agent.send(self._segment(agent, name, start, duration, *inner, **fields))

    def _segment(self, agent: Agent, name: str, start: int, duration: int, *inner: Any, **fields: Any) -> Any:
        begun = self.base + start
        segment = agent.segment(*inner, agent.span(begun, begun + duration, name and f"/{name}", **fields))
        segment.traceSegmentId, segment.traceId = self.name(name), f"{self.service}-trace-{name}"
        return segment

    def _wait(self) -> None:
        """Until the last of everything that was sent is there.

        OAP answers ``listServices`` from a cache that it fills anew every 10 s, whatever else it shows by then.
        """
        latest = time.monotonic() + STORED_WITHIN
        while not self._is_stored():
            assert time.monotonic() < latest, "not everything that was sent was stored"
            time.sleep(0.2)

    def _is_stored(self) -> bool:
        traces = self.client.query(TRACES, c=self.condition())["queryBasicTraces"]["traces"]
        segments = self.client.query(SEGMENTS, t=self.task)["getProfileTaskSegments"]
        lists = "query($s: ID!, $d: Duration!){listInstances(serviceId: $s, duration: $d){name}}"
        instances = self.client.query(lists, s=self.id, d=self.days)["listInstances"]
        endpoints = self.client.endpoints(self.service)
        return (
            [len(traces), len(segments), len(instances), len(endpoints)] == [8, 2, 3, 8]
            and all(self.trees(self.stretch(name)) for name in RECORDINGS)
            and self.service in self.client.services()
        )
