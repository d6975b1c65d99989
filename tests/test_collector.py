"""The embedded collector over the wire: what agents send comes back by OAP's GraphQL. Literals are a real OAP's."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import pytest

from swprof_mw.collector import decode, period, receiver
from swprof_mw.collector.graphql import Api
from swprof_mw.collector.records import Segment, Snapshot, Span, Task, TaskLog
from swprof_mw.collector.resolvers import Resolvers
from swprof_mw.collector.server import Collector, CollectorError
from swprof_mw.collector.store import Store
from swprof_mw.collector.tasks import due
from swprof_mw.query.client import OapClient, OapError, TaskRefused, service_id
from swprof_mw.reporter import protocol
from tests.oap.server import OapServer

MINUTE = 60_000
Row = tuple[int, int, list[str]]


class Agent:
    """Sends what the agent of one process sends, to a collector or a real OAP."""

    def __init__(self, channel: grpc.Channel, service: str = "shop", instance: str = "one") -> None:
        self.channel, self.service, self.instance = channel, service, instance

    def like(self, service: str, instance: str) -> Agent:
        """Another process, over the same connection."""
        return Agent(self.channel, service, instance)

    def call(self, call: protocol.Call, message: Any) -> Any:
        """Make a call."""
        return call.stub(self.channel)(message, timeout=10)

    def span(self, start: int, end: int, name: str = "/e", **fields: Any) -> Any:
        """An entry span, unless ``fields`` say otherwise."""
        fields = {"spanId": 0, "parentSpanId": -1, "spanType": 0, "spanLayer": 3, "componentId": 7001, **fields}
        fields["tags"] = [
            protocol.KeyStringValuePair(key=key, value=value) for key, value in fields.pop("tags", {}).items()
        ]
        return protocol.SpanObject(startTime=start, endTime=end, operationName=name, **fields)

    def segment(self, *spans: Any) -> Any:
        """A segment with a trace of its own."""
        return protocol.SegmentObject(
            traceId=uuid.uuid4().hex,
            traceSegmentId=uuid.uuid4().hex,
            spans=spans,
            service=self.service,
            serviceInstance=self.instance,
        )

    def send(self, *segments: Any) -> None:
        """Report segments in one message."""
        self.call(protocol.COLLECT_SEGMENTS_IN_SYNC, protocol.SegmentCollection(segments=segments))

    def request(self, start: int, end: int, name: str = "/e", **fields: Any) -> str:
        """Report a segment of one span; returns its id."""
        segment = self.segment(self.span(start, end, name, **fields))
        self.send(segment)
        return str(segment.traceSegmentId)

    def snapshots(self, task: str, segment: str, rows: Sequence[Row]) -> None:
        """Send snapshots: each row is number, time, stack."""
        messages = [
            protocol.ThreadSnapshot(
                taskId=task,
                traceSegmentId=segment,
                sequence=number,
                time=at,
                stack=protocol.ThreadStack(codeSignatures=stack),
            )
            for number, at, stack in rows
        ]
        self.call(protocol.COLLECT_SNAPSHOT, iter(messages))

    def properties(self, *pairs: tuple[str, str]) -> None:
        """Report the instance's properties."""
        told = [protocol.KeyStringValuePair(key=key, value=value) for key, value in pairs]
        self.call(
            protocol.REPORT_INSTANCE_PROPERTIES,
            protocol.InstanceProperties(service=self.service, serviceInstance=self.instance, properties=told),
        )

    def keep_alive(self, layer: str = "") -> None:
        """Say that the process is there."""
        ping = protocol.InstancePingPkg(service=self.service, serviceInstance=self.instance, layer=layer)
        self.call(protocol.KEEP_ALIVE, ping)

    def commands(self, last: int = -1) -> list[dict[str, str]]:
        """Ask for tasks newer than ``last``; the arguments of each command."""
        query = protocol.ProfileTaskCommandQuery(
            service=self.service, serviceInstance=self.instance, lastCommandTime=last
        )
        commands = self.call(protocol.GET_PROFILE_TASK_COMMANDS, query).commands
        assert all(command.command == "ProfileTaskQuery" for command in commands)
        return [{pair.key: pair.value for pair in command.args} for command in commands]

    def finish(self, task: str) -> None:
        """Report a task's end."""
        report = protocol.ProfileTaskFinishReport(service=self.service, serviceInstance=self.instance, taskId=task)
        self.call(protocol.REPORT_TASK_FINISH, report)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector(0, 0) as started:
        yield started


@pytest.fixture(scope="module")
def empty() -> Iterator[Collector]:
    """For tests that leave nothing in it."""
    with Collector(0, 0) as started:
        yield started


@pytest.fixture
def agent(collector: Collector) -> Iterator[Agent]:
    with grpc.insecure_channel(collector.backend) as channel:
        yield Agent(channel)


@pytest.fixture
def client(collector: Collector) -> OapClient:
    return OapClient(collector.url)


# Names


def test_services(agent: Agent, client: OapClient) -> None:
    agent.request(0, 1)
    agent.like("group::other", "two").keep_alive()
    agent.like("mesh", "three").keep_alive("MESH")
    agent.like("only-told", "four").properties(("language", "python"))
    found = client.query('{listServices(layer: "GENERAL"){id name group shortName layers normal}}')["listServices"]
    plain = {"layers": ["GENERAL"], "normal": True}
    assert found == [
        {"id": "c2hvcA==.1", "name": "shop", "group": "", "shortName": "shop", **plain},
        {"id": "Z3JvdXA6Om90aGVy.1", "name": "group::other", "group": "group", "shortName": "other", **plain},
    ]
    every = client.query("{listServices{name}}")["listServices"]
    assert [one["name"] for one in every] == ["shop", "group::other", "mesh"]


def instances(client: OapClient, start: float = -60, end: float = 60, service: str = "c2hvcA==.1") -> Any:
    """Ask for the instances of the time from ``start`` to ``end``, seconds from now."""
    times = [time.strftime("%Y-%m-%d %H%M", time.localtime(time.time() + at)) for at in (start, end)]
    return client.query(
        "query($d: Duration!, $s: ID!){listInstances(duration: $d, serviceId: $s)"
        "{id name language instanceUUID attributes{name value}}}",
        d={"start": times[0], "end": times[1], "step": "MINUTE"},
        s=service,
    )["listInstances"]


def test_instances(agent: Agent, client: OapClient) -> None:
    told = [("language", "Python"), ("k", "1"), ("ipv4", "10.0.0.1"), ("hostname", "h"), ("ipv4", "10.0.0.2")]
    agent.properties(*told, ("k", "2"))
    agent.like("shop", "two").keep_alive()
    identifiers = ["c2hvcA==.1_b25l", "c2hvcA==.1_dHdv"]
    attributes = [("k", "2"), ("hostname", "h"), ("ipv4s", "10.0.0.1,10.0.0.2")]
    assert instances(client) == [
        {
            "id": identifiers[0],
            "name": "one",
            "language": "PYTHON",
            "instanceUUID": identifiers[0],
            "attributes": [{"name": name, "value": value} for name, value in attributes],
        },
        {
            "id": identifiers[1],
            "name": "two",
            "language": "UNKNOWN",
            "instanceUUID": identifiers[1],
            "attributes": [],
        },
    ]
    assert instances(client, -7200, -3600) == instances(client, 3600, 7200) == []
    assert instances(client, service="garbage") == []


def test_later_properties_are_added(agent: Agent, client: OapClient) -> None:
    agent.properties(("language", "nodejs"))
    agent.properties(("kk", "1"))
    agent.like("shop", "two").properties(("language", "cobol"))
    found = instances(client)
    assert [one["language"] for one in found] == ["NODEJS", "UNKNOWN"]
    assert found[0]["attributes"] == [{"name": "ipv4s", "value": ""}, {"name": "kk", "value": "1"}]


@pytest.mark.parametrize(
    ("step", "start", "end", "inside"),
    [
        ("DAY", "2026-11-23", "2026-11-23", 24 * 60 * MINUTE),
        ("HOUR", "2026-11-23 10", "2026-11-23 11", 2 * 60 * MINUTE),
        ("MINUTE", "2026-11-23 1000", "2026-11-23 1030", 31 * MINUTE),
        ("SECOND", "2026-11-23 100000", "2026-11-23 100029", 30_000),
    ],
)
def test_periods_hold_their_last_step(step: str, start: str, end: str, inside: int) -> None:
    found = period.parse({"step": step, "start": start, "end": end})
    assert found.end - found.start == inside
    assert found.holds(found.start)
    assert not found.holds(found.end)


def test_endpoints(agent: Agent, client: OapClient) -> None:
    for name in ("/b", "/C", "/a"):
        agent.request(0, 1, name)
    agent.request(0, 1, "/hidden", skipAnalysis=True)
    agent.request(0, 1, "local", spanType=2)
    agent.request(0, 1, "/b")
    assert client.endpoints("shop") == ["/b", "/C", "/a"]
    assert client.endpoints("shop", "a") == ["/a"]
    assert client.endpoints("shop", "c") == []
    assert client.endpoints("shop", limit=2) == ["/b", "/C"]
    assert client.endpoints("nobody") == []
    found = client.query('{findEndpoint(serviceId: "c2hvcA==.1", keyword: "b", limit: 1){id name}}')["findEndpoint"]
    assert found == [{"id": "c2hvcA==.1_L2I=", "name": "/b"}]
    with pytest.raises(OapError, match="limit must not be negative: -1"):
        client.endpoints("shop", limit=-1)


def test_newer_endpoints_come_first() -> None:
    store = Store()
    for number, name in enumerate(("/old", "/new")):
        store.add_segment(segment(str(number), name=name), number * MINUTE)
    store.add_segment(segment("2", name="/old"), 3 * MINUTE)
    answer = Api(store).answer('{findEndpoint(serviceId: "c2hvcA==.1", limit: 9){name}}')
    assert [one["name"] for one in answer["data"]["findEndpoint"]] == ["/new", "/old"]


def test_long_names_are_cut(agent: Agent, client: OapClient) -> None:
    agent.like("s" * 80, "i" * 80).request(0, 1, "/" + "x" * 200)
    assert client.services() == ["s" * 70]
    assert client.endpoints("s" * 70) == ["/" + "x" * 149]


# Tasks


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"endpoint": " "}, "endpoint name cannot be empty"),
        ({"duration": 0}, "monitor duration must greater than 1 minutes"),
        ({"duration": 16}, "The duration of the monitoring task cannot be greater than 15 minutes"),
        ({"min_duration": -1}, "min duration threshold must greater than or equals zero"),
        ({"period": 9}, "dump period must be greater than or equals 10 milliseconds"),
        ({"samples": 0}, "max sampling count must greater than zero"),
        ({"samples": 10}, "max sampling count must less than 10"),
        ({"duration": 0, "samples": 10}, "monitor duration must greater than 1 minutes"),
    ],
)
def test_refused_tasks(empty: Collector, changes: dict[str, Any], reason: str) -> None:
    client = OapClient(empty.url)
    with pytest.raises(TaskRefused) as refused:
        client.create_task("shop", **{"endpoint": "/e", **changes})
    assert str(refused.value) == reason
    assert client.tasks("shop") == []


def test_the_limits_are_allowed(client: OapClient) -> None:
    client.create_task("shop", "/e", duration=15, samples=9, period=10)
    client.create_task("other", "/e", duration=1, samples=1)


def task(start: int = 0, minutes: int = 1, created: int = 0) -> Task:
    """A task of the shop."""
    return Task("c2hvcA==.1", "/e", start, minutes, 0, 10, 5, created)


@pytest.mark.parametrize(
    ("start", "minutes", "clashes"),
    [
        (-90, 1, False),
        (-89.999, 1, False),
        (-60, 1, True),
        (-30, 1, True),
        (0, 1, True),
        (150, 1, True),
        (150.001, 1, False),
        (-900, 15, True),
    ],
)
def test_tasks_that_clash(start: float, minutes: int, clashes: bool) -> None:
    """The other one runs from 0:30 to 2:30; a real OAP decides so."""
    assert task(int(start * 1000) + 60 * MINUTE, minutes).clashes(task(60 * MINUTE + 30_000, 2)) is clashes


def test_one_task_at_a_time(client: OapClient) -> None:
    client.create_task("shop", "/e")
    with pytest.raises(TaskRefused, match="current service already has monitor task execute at this time"):
        client.create_task("shop", "/other")
    client.create_task("shop", "/other", start=receiver.now() + 10 * MINUTE)
    client.create_task("other", "/e")


@pytest.mark.parametrize("start", [None, 0, -1])
def test_a_task_without_a_start_begins_now(client: OapClient, start: int | None) -> None:
    before = receiver.now()
    client.create_task("shop", "/e", start=start)
    assert before <= client.tasks("shop")[0].start <= receiver.now()


def test_a_task_reaches_its_agents(agent: Agent, client: OapClient) -> None:
    before = receiver.now()
    identifier = client.create_task("shop", "/ä", duration=2, min_duration=30, period=20, samples=3)
    created, _, service = identifier.partition("_")
    assert service == "c2hvcA==.1"
    assert before <= int(created) <= receiver.now()
    [command] = agent.commands()
    start = int(command.pop("StartTime"))
    assert uuid.UUID(command.pop("SerialNumber"))
    assert before <= start <= int(created)
    assert command == {
        "TaskId": identifier,
        "EndpointName": "/ä",
        "Duration": "2",
        "MinDurationThreshold": "30",
        "DumpPeriod": "20",
        "MaxSamplingCount": "3",
        "CreateTime": created,
    }
    assert len(agent.commands(int(created) - 1)) == 1
    assert agent.commands(int(created)) == []
    assert agent.like("other", "one").commands() == []


def test_only_tasks_near_now_are_sent() -> None:
    now, five = 100 * MINUTE, 5 * MINUTE
    sent = {}
    for start in (now - five - 1, now - five, now + five, now + five + 1):
        store = Store()
        store.add_task(task(start))
        sent[start - now] = len(due(store, "shop", -1, now))
    assert sent == {-five - 1: 0, -five: 1, five: 1, five + 1: 0}


def test_the_latest_start_is_sent_first() -> None:
    store = Store()
    for start in (100 * MINUTE, 103 * MINUTE):
        store.add_task(task(start))
    assert [one.start_time for one in due(store, "shop", -1, 100 * MINUTE)] == [103 * MINUTE, 100 * MINUTE]


def test_tasks_are_told_apart_by_their_creation() -> None:
    store = Store()
    added = [store.add_task(task(number * 10 * MINUTE, created=7)) for number in range(3)]
    assert [one and one.create_time for one in added] == [7, 8, 9]


def test_task_logs(agent: Agent, client: OapClient) -> None:
    identifier = client.create_task("shop", "/e")
    agent.commands()
    agent.like("shop", "two").commands()
    agent.finish(identifier)
    agent.finish("no such task")
    [found] = client.tasks("shop")
    assert (sorted(found.notified), sorted(found.finished)) == (["one", "two"], ["one"])
    logs = client.query(
        "query($t: String){getProfileTaskLogs(taskID: $t){id instanceId instanceName operationType operationTime}}",
        t=identifier,
    )["getProfileTaskLogs"]
    kinds = [(log["instanceName"], log["operationType"]) for log in logs]
    assert kinds == [("one", "EXECUTION_FINISHED"), ("two", "NOTIFIED"), ("one", "NOTIFIED")]
    place = "c2hvcA==.1_b25l"
    assert logs[0]["instanceId"] == place
    assert logs[0]["id"] == f"profile_task_log_{identifier}_{place}_2_{logs[0]['operationTime']}"
    assert client.query("{getProfileTaskLogs{id}}")["getProfileTaskLogs"] == []


def test_task_list(client: OapClient) -> None:
    first = client.create_task("shop", "/e", start=receiver.now() + 30 * MINUTE)
    second = client.create_task("shop", "/other", start=receiver.now() + 60 * MINUTE)
    listed = "query($s: ID, $e: String){getProfileTaskList(serviceId: $s, endpointName: $e){id serviceName}}"

    def ids(**asked: str) -> list[str]:
        return [one["id"] for one in client.query(listed, **asked)["getProfileTaskList"]]

    assert ids(s="c2hvcA==.1") == ids() == [second, first]
    assert ids(s="c2hvcA==.1", e="/e") == [first]
    assert ids(s="garbage") == []


# Requests

SEGMENTS = """query($t: ID!){getProfileTaskSegments(taskID: $t){traceId instanceId instanceName endpointNames duration
    start spans{spanId parentSpanId segmentId refs{traceId} serviceCode serviceInstanceName startTime endTime
    endpointName type peer component isError layer tags{key value} logs{time data{key value}} profiled}}}"""


def test_a_profiled_request(agent: Agent, client: OapClient) -> None:
    event = protocol.Log(time=25, data=[protocol.KeyStringValuePair(key="event", value="error")])
    reported = agent.segment(
        agent.span(
            20,
            30,
            "SELECT",
            spanId=1,
            parentSpanId=0,
            spanType=1,
            spanLayer=1,
            peer="db:1",
            componentId=99,
            isError=True,
            logs=[event],
        ),
        agent.span(10, 210, tags={"http.method": "GET"}),
    )
    agent.send(reported)
    agent.snapshots("task", reported.traceSegmentId, [(0, 10, ["/e"])])
    place = {"segmentId": reported.traceSegmentId, "serviceCode": "shop", "serviceInstanceName": "one", "refs": []}
    assert client.query(SEGMENTS, t="task")["getProfileTaskSegments"] == [
        {
            "traceId": reported.traceId,
            "instanceId": "c2hvcA==.1_b25l",
            "instanceName": "one",
            "endpointNames": ["/e"],
            "duration": 200,
            "start": "10",
            "spans": [
                {
                    **place,
                    "spanId": 1,
                    "parentSpanId": 0,
                    "startTime": 20,
                    "endTime": 30,
                    "endpointName": "SELECT",
                    "type": "Exit",
                    "peer": "db:1",
                    "component": "N/A",
                    "isError": True,
                    "layer": "Database",
                    "tags": [],
                    "logs": [{"time": 25, "data": [{"key": "event", "value": "error"}]}],
                    "profiled": True,
                },
                {
                    **place,
                    "spanId": 0,
                    "parentSpanId": -1,
                    "startTime": 10,
                    "endTime": 210,
                    "endpointName": "/e",
                    "type": "Entry",
                    "peer": "",
                    "component": "Flask",
                    "isError": False,
                    "layer": "Http",
                    "tags": [{"key": "http.method", "value": "GET"}],
                    "logs": [],
                    "profiled": True,
                },
            ],
        }
    ]


def test_which_requests_are_listed(agent: Agent, client: OapClient) -> None:
    late, early, headless, other = (agent.request(start, start + 9) for start in (50, 10, 20, 30))
    agent.request(40, 49)
    for task_id, one, number in (("t", late, 0), ("t", early, 0), ("t", headless, 1), ("u", other, 0), ("t", "x", 0)):
        agent.snapshots(task_id, one, [(number, 50, ["/e"])])
    after = agent.segment(agent.span(5, 6))
    agent.snapshots("t", after.traceSegmentId, [(0, 5, ["/e"])])
    agent.send(after)
    found = [one.spans[0].segment_id for one in client.segments("t")]
    assert found == [after.traceSegmentId, early, late]
    assert client.segments("nothing") == []


@pytest.mark.parametrize(
    ("spans", "name", "duration"),
    [
        ([(1, 0, "/inner", 5, 60), (0, 0, "/outer", 0, 50)], "/outer", 60),
        ([(1, 0, "/in", 5, 40), (0, 2, "loc", 0, 50)], "loc", 50),
        ([(0, 2, "loc", 0, 50), (1, 1, "exit", 5, 40)], "loc", 50),
        ([(0, 0, "/r0", 1, 5), (1, 0, "/r1", 0, 9)], "/r1", 9),
        ([(0, 0, "", 0, 5)], "_blank", 5),
        ([(0, 0, "/endless", 2**40, 0)], "/endless", -(2**31 - 1)),
        ([(3, 2, "lost", 0, 1)], "", 1),
    ],
)
def test_what_a_segment_is_listed_as(spans: list[Any], name: str, duration: int) -> None:
    messages = [
        protocol.SpanObject(spanId=number, spanType=kind, operationName=called, startTime=start, endTime=end)
        for number, kind, called, start, end in spans
    ]
    found = decode.segment(protocol.SegmentObject(service="shop", spans=messages))
    assert found is not None
    assert (found.endpoint_name, found.duration) == (name, duration)


def test_what_cannot_be_shown_is_left_out(agent: Agent, client: OapClient) -> None:
    agent.call(protocol.COLLECT_SEGMENTS, iter([agent.segment(), agent.segment(agent.span(0, 1, "/streamed"))]))
    assert client.endpoints("shop") == ["/streamed"]


def test_values_from_a_newer_protocol() -> None:
    message = protocol.SegmentObject()
    span = message.spans.add()
    span.MergeFromString(protocol.SpanObject(spanId=0).SerializeToString() + b"\x40\x09\x48\x63")
    found = decode.segment(message)
    assert found is not None
    assert (found.spans[0].type, found.spans[0].layer) == ("UNRECOGNIZED", "UNRECOGNIZED")


def traces(client: OapClient, **changes: Any) -> list[tuple[str, int, bool]]:
    """What ``queryBasicTraces`` finds: endpoint, duration, error."""
    paging = {"pageNum": 1, "pageSize": 20}
    asked = {"traceState": "ALL", "queryOrder": "BY_START_TIME", "paging": paging, **changes}
    if "traceId" not in asked:
        day = time.strftime("%Y-%m-%d")
        asked.setdefault("queryDuration", {"start": day, "end": day, "step": "DAY"})
    found = client.query(
        "query($c: TraceQueryCondition){queryBasicTraces(condition: $c)"
        "{traces{segmentId endpointNames duration start isError traceIds}}}",
        c=asked,
    )["queryBasicTraces"]["traces"]
    return [(one["endpointNames"][0], one["duration"], one["isError"]) for one in found]


def test_traces(agent: Agent, client: OapClient) -> None:
    noon = int(time.mktime((*time.localtime()[:3], 12, 0, 0, 0, 0, -1))) * 1000
    durations = {"/b": 5, "/a": 42, "/c": 79}
    segments = [
        agent.segment(agent.span(noon + at, noon + at + durations[name], name, tags={"http.method": "GET"}))
        for at, name in enumerate(durations)
    ]
    segments[2].spans[0].isError = True
    agent.send(*segments)
    b, a, c = ("/b", 5, False), ("/a", 42, False), ("/c", 79, True)
    assert traces(client) == traces(client, queryOrder="BY_DURATION") == [c, a, b]
    assert traces(client, traceState="ERROR") == [c]
    assert traces(client, traceState="SUCCESS") == [a, b]
    assert traces(client, minTraceDuration=42) == [c, a]
    assert traces(client, maxTraceDuration=42) == [a, b]
    assert traces(client, paging={"pageNum": 2, "pageSize": 2}) == [b]
    assert traces(client, paging={"pageNum": 0, "pageSize": 2}) == traces(client, paging={"pageSize": 2}) == [c, a]
    assert traces(client, paging={"pageSize": 0}) == []
    assert traces(client, serviceId="c2hvcA==.1", endpointId="c2hvcA==.1_L2E=") == [a]
    assert traces(client, serviceInstanceId="c2hvcA==.1_b25l") == [c, a, b]
    assert traces(client, serviceId="b3RoZXI=.1") == []
    assert traces(client, traceId=segments[0].traceId) == [b]
    assert traces(client, queryDuration={"start": "2001-01-01", "end": "2001-01-02", "step": "DAY"}) == []
    assert traces(client, tags=[{"key": "http.method", "value": "GET"}]) == [c, a, b]
    assert traces(client, tags=[{"key": "http.method", "value": "PUT"}]) == []
    with pytest.raises(OapError, match="must contains either queryDuration or traceId"):
        traces(client, queryDuration=None)
    with pytest.raises(OapError, match="pageSize must not be negative: -1"):
        traces(client, paging={"pageSize": -1})


# GraphQL over HTTP


def post(url: str, body: bytes | None, kind: str = "application/json") -> tuple[int, Any]:
    """Status and JSON of the answer; a GET without a body."""
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_the_forms_of_a_request(empty: Collector) -> None:
    url = empty.url + "/graphql"
    version = Resolvers(Store()).version()
    expected = (200, {"data": {"version": version}})
    assert post(url, b'{"query": "{version}"}') == expected
    assert post(url, b'{"query": "mutation{version}"}') == expected
    assert post(url, b"{version}", "application/graphql") == expected
    assert post(url, b'{"query": "{version}"}', "application/x+json; charset=utf-8") == expected
    named = {
        "query": "query a{version} query b($x: Boolean!){version @include(if: $x)}",
        "operationName": "b",
        "variables": {"x": True},
    }
    assert post(url, json.dumps(named).encode()) == expected
    assert post(url, b'{"query": "{__typename getTimeInfo{timezone}}"}')[1]["data"]["__typename"] == "Query"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"query": ""}',
        b'{"query": 1}',
        b'{"query": "{version"}',
        b'{"query": "{nope}"}',
        b'{"query": "{getProfileTaskSegments{traceId}}"}',
        b'{"query": "{version}", "variables": []}',
        b'{"query": "{version}", "operationName": 1}',
        b"[" * 100_000,
        b'{"query": "' + b"{a" * 5_000 + b'"}',
        b'{"query": "' + b" " * 20_001 + b'"}',
    ],
)
def test_malformed_requests(empty: Collector, body: bytes) -> None:
    status, answer = post(empty.url + "/graphql", body)
    assert status == 400
    assert list(answer) == ["errors"]
    assert all(error["message"] and "Traceback" not in error["message"] for error in answer["errors"])


def test_other_requests(empty: Collector) -> None:
    url = empty.url + "/graphql"
    assert post(url, None) == (405, {"errors": [{"message": "Method Not Allowed"}]})
    assert post(empty.url + "/nope", b"{}") == (404, {"errors": [{"message": "Not Found"}]})
    assert post(url, b'{"query": "{version}"}', "text/plain")[0] == 415
    assert post(url, b" " * (1024 * 1024 + 1))[0] == 413


def test_a_field_that_fails(empty: Collector) -> None:
    status, answer = post(
        empty.url + "/graphql",
        b'{"query": "{version queryBasicTraces{traces{segmentId}}}"}',
    )
    assert status == 200
    assert answer["data"] == {"version": Resolvers(Store()).version(), "queryBasicTraces": None}
    assert [(error["message"], error["path"]) for error in answer["errors"]] == [
        ("condition is missing", ["queryBasicTraces"])
    ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("mutation{createProfileTask{id}}", "creationRequest is missing"),
        (
            'mutation{createProfileTask(creationRequest: {serviceId: "garbage", endpointName: "/e", duration: 1, '
            "minDurationThreshold: 0, dumpPeriod: 10, maxSamplingCount: 1}){id}}",
            "can't split service id into 2 parts, 'garbage'",
        ),
        (
            'mutation{createProfileTask(creationRequest: {serviceId: "?.1", endpointName: "/e", duration: 1, '
            "minDurationThreshold: 0, dumpPeriod: 10, maxSamplingCount: 1}){id}}",
            "not the base64 of a name: '?'",
        ),
        (
            '{getSegmentsProfileAnalyze(queries: [{segmentId: "x", timeRange: {start: true, end: 1}}]){tip}}',
            "not a Long: True",
        ),
        (
            '{listInstances(serviceId: "x", duration: {start: "2026", end: "x", step: MINUTE}){id}}',
            "time data '2026' does not match format '%Y-%m-%d %H%M'",
        ),
    ],
)
def test_wrong_arguments(query: str, message: str) -> None:
    answer = Api(Store()).answer(query)
    assert answer["data"] is None
    assert [error["message"] for error in answer["errors"]] == [message]


def test_our_own_faults_stay_ours(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Resolvers) -> str:
        raise KeyError("secret")

    monkeypatch.setattr(Resolvers, "version", broken)
    answer = Api(Store()).answer("{version}")
    assert [error["message"] for error in answer["errors"]] == ["internal error"]
    assert "secret" in caplog.text


def test_a_failing_app(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(Api, "answer", broken)
    answer = post(collector.url + "/graphql", b'{"query": "{version}"}')
    assert answer == (500, {"errors": [{"message": "internal error"}]})


# The store's bounds


def segment(identifier: str, start: int = 0, service: str = "shop", name: str = "/e") -> Segment:
    """A segment of one entry span."""
    span = Span(0, -1, start, start + 1, name, "Entry", "Http")
    return Segment("trace-" + identifier, identifier, service, "one", (span,))


def snapshot(identifier: str, sequence: int) -> Snapshot:
    """A snapshot of the task ``t``."""
    return Snapshot("t", identifier, sequence, sequence, ("/e",))


def test_the_newest_segments_of_each_service_are_kept() -> None:
    store = Store(segments=2)
    store.add_segment(segment("other", service="other"), 0)
    for identifier in "abc":
        store.add_segment(segment(identifier), 0)
    assert [one.segment_id for one in store.segments()] == ["other", "b", "c"]


def test_a_profiled_segment_outlives_the_others() -> None:
    store = Store(segments=2)
    store.add_segment(segment("profiled"), 0)
    store.add_snapshot(snapshot("profiled", 0))
    for identifier in "abc":
        store.add_segment(segment(identifier), 0)
    assert [one.segment_id for one in store.profiled("t")] == ["profiled"]


def test_the_oldest_profile_goes_first_and_whole() -> None:
    store = Store(snapshots=4)
    for identifier in "ab":
        store.add_segment(segment(identifier), 0)
        for number in range(2):
            store.add_snapshot(snapshot(identifier, number))
    store.add_snapshot(snapshot("b", 2))
    assert (len(store.snapshots("a")), len(store.snapshots("b"))) == (0, 3)
    assert [one.segment_id for one in store.profiled("t")] == ["b"]
    for number in range(3, 9):
        store.add_snapshot(snapshot("b", number))
    assert [one.sequence for one in store.snapshots("b")] == [0, 1, 2, 3]


def test_a_snapshot_sent_again_is_ignored() -> None:
    store = Store()
    store.add_snapshot(snapshot("a", 0))
    store.add_snapshot(Snapshot("u", "a", 9, 0, ("/other",)))
    assert store.snapshots("a") == [snapshot("a", 0)]


def test_names_are_bounded() -> None:
    store = Store(names=2)
    for number in range(4):
        store.add_segment(segment(str(number), name=f"/{number}"), number)
        store.seen("shop", f"i{number}", number)
    assert [one.name for one in store.endpoints("shop")] == ["/2", "/3"]
    assert [one.name for one in store.instances("shop")] == ["i2", "i3"]
    for number in range(4):
        store.described(f"s{number}", "one", number, None, ())
        store.seen(f"s{number}", "one", number)
    assert [one.name for one in store.services()] == ["s2", "s3"]
    assert store.endpoints("shop") == []


def test_tasks_and_their_logs_are_bounded() -> None:
    store = Store(names=2)
    for number in range(3):
        store.add_task(task(number * 10 * MINUTE, created=1))
        store.add_log(TaskLog(store.tasks()[0].id, "shop", "one", "NOTIFIED", number))
    assert [one.create_time for one in store.tasks()] == [3, 2]
    assert store.logs("1_c2hvcA==.1") == []
    newest = store.tasks()[0].id
    for number in range(5):
        store.add_log(TaskLog(newest, "shop", "one", "NOTIFIED", number))
    assert [log.time for log in store.logs(newest)] == [4, 3]


# The servers


def test_it_listens_on_loopback_only_and_ends_whole() -> None:
    before = set(threading.enumerate())
    collector = Collector(0, 0)
    with collector:
        assert collector.url == f"http://127.0.0.1:{collector.http_port}"
        assert collector.backend == f"127.0.0.1:{collector.grpc_port}"
        assert OapClient(collector.url).services() == []
    collector.stop()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive(), thread.name
    for port in (collector.http_port, collector.grpc_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CollectorError, match=rf"cannot listen on 127\.0\.0\.1:{port} for HTTP: .*in use"):
            Collector(0, port).start()
        with pytest.raises(CollectorError, match=rf"cannot listen on 127\.0\.0\.1:{port} for agents"):
            Collector(port, 0).start()


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(CollectorError, match=r"cannot listen on 192\.0\.2\.1:0 for HTTP"):
        Collector(0, 0, host="192.0.2.1", token="t").start()


def test_a_server_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    collector = Collector(0, 0)
    with pytest.raises(CollectorError, match="the HTTP server did not start"):
        collector.start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", collector.grpc_port), timeout=5)


# The real OAP


def type_name(reference: Any) -> str:
    """A type as SDL writes it, from introspection."""
    if reference["kind"] == "NON_NULL":
        return type_name(reference["ofType"]) + "!"
    if reference["kind"] == "LIST":
        return "[" + type_name(reference["ofType"]) + "]"
    return str(reference["name"])


@pytest.mark.oap
def test_the_schema_is_a_part_of_oaps(oap: OapServer) -> None:
    reference = "{kind name ofType{kind name ofType{kind name ofType{kind name}}}}"
    asked = f"""{{__schema{{types{{name enumValues{{name}} inputFields{{name type{reference}}}
        fields{{name type{reference} args{{name type{reference}}}}}}}}}}}"""
    client = OapClient(oap.url)
    theirs = {one["name"]: one for one in client.query(asked)["__schema"]["types"]}

    def fields(types: Any, name: str) -> dict[str, Any]:
        described = types[name]
        return {
            one["name"]: (
                type_name(one["type"]),
                {argument["name"]: type_name(argument["type"]) for argument in one.get("args", [])},
            )
            for one in (described["fields"] or described["inputFields"] or [])
        } | {one["name"]: None for one in described["enumValues"] or []}

    ours = {one["name"]: one for one in Api(Store()).answer(asked)["data"]["__schema"]["types"]}
    shared = [name for name in ours if not name.startswith("__") and name != "Boolean"]
    assert set(shared) <= set(theirs)
    for name in shared:
        assert fields(ours, name).items() <= fields(theirs, name).items(), name


def tell(agent: Agent, task: str, base: int) -> None:
    """What both are sent: three requests of one process, two of them profiled, and its properties."""
    agent.properties(("language", "python"), ("OS Name", "Linux"), ("ipv4", "10.0.0.1"), ("ipv4", "10.0.0.2"))
    tags = {"http.method": "GET", "http.status_code": "200"}
    for number, (name, start) in enumerate((("/a", 0), ("/b", 50), ("/a", 70))):
        at = base + start
        inner = agent.span(at + 5, at + 9, "SELECT", spanId=1, parentSpanId=0, spanType=1, spanLayer=1, isError=True)
        one = agent.segment(inner, agent.span(at, at + 10 * number + 20, name, tags=tags))
        one.traceId, one.traceSegmentId = f"{task}-t{number}", f"{task}-s{number}"
        agent.send(one)
        if number:
            agent.snapshots(task, one.traceSegmentId, [(0, at, ["e"]), (1, at + 5, ["e"])])


def shown(client: OapClient, service: str, task: str, base: int) -> dict[str, Any]:
    """What a person is shown of that; in an order of its own where OAP has none."""
    days = [time.strftime("%Y-%m-%d", time.gmtime(base / 1000 + day * 86_400)) for day in (-1, 1)]
    duration = {"start": days[0], "end": days[1], "step": "DAY"}
    condition = {"serviceId": service, "queryDuration": duration, "traceState": "ALL", "queryOrder": "BY_START_TIME"}
    answer = client.query(
        """query($s: ID!, $d: Duration!, $t: ID!, $c: TraceQueryCondition){
        listInstances(duration: $d, serviceId: $s){id name language instanceUUID attributes{name value}}
        findEndpoint(serviceId: $s, keyword: "", limit: 9){id name}
        queryBasicTraces(condition: $c){traces{segmentId endpointNames duration start isError traceIds}}
        getProfileTaskSegments(taskID: $t){traceId instanceId instanceName endpointNames duration start
            spans{spanId parentSpanId segmentId refs{traceId} serviceCode serviceInstanceName startTime endTime
            endpointName type peer component isError layer tags{key value} logs{time} profiled}}}""",
        s=service,
        d=duration,
        t=task,
        c={**condition, "paging": {"pageNum": 1, "pageSize": 9}},
    )
    answer["findEndpoint"].sort(key=lambda one: one["name"])
    answer["getProfileTaskSegments"].sort(key=lambda one: one["start"])
    return dict(answer)


@pytest.mark.oap
def test_a_real_oap_shows_the_same(collector: Collector, oap: OapServer) -> None:
    base, task_id, service = receiver.now(), uuid.uuid4().hex, f"same-{uuid.uuid4().hex[:8]}"
    for address in (oap.grpc_address, collector.backend):
        with grpc.insecure_channel(address) as channel:
            tell(Agent(channel, service), task_id, base)
    asked = (service_id(service), task_id, base)
    ours = shown(OapClient(collector.url), *asked)
    assert [len(ours[name]) for name in ("listInstances", "findEndpoint", "getProfileTaskSegments")] == [1, 2, 2]
    latest = time.monotonic() + 15
    while (theirs := shown(OapClient(oap.url), *asked)) != ours:
        if time.monotonic() > latest:
            assert ours == theirs
        time.sleep(0.2)
