"""One suite of queries for the embedded collector and for a real OAP: each is answered alike, to the same literals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from swprof_mw.collector import ids
from swprof_mw.collector.records import MINUTE
from swprof_mw.collector.server import Collector
from swprof_mw.query.client import OapError, TaskRefused
from tests.oap.server import OapServer
from tests.parity import ANALYZE, CREATE, SEGMENTS, TRACES, Told
from tests.test_collector import Agent
from tests.waiting import eventually

DELIVERED_WITHIN = 30.0
"""Seconds until a real OAP hands out a new task: it looks for them every 10 s."""


@pytest.fixture(scope="module", params=["collector", pytest.param("oap", marks=pytest.mark.oap)])
def told(request: pytest.FixtureRequest) -> Iterator[Told]:
    if request.param == "oap":
        oap: OapServer = request.getfixturevalue("oap")
        yield Told(oap.grpc_address, oap.url)
        return
    with Collector(0, 0) as collector:
        yield Told(collector.backend, collector.url)


# Names


@pytest.mark.parametrize(
    ("layer", "is_listed"),
    [("", True), ('(layer: "GENERAL")', True), ("(layer: null)", True), ('(layer: "")', True)]
    + [(f'(layer: "{layer}")', False) for layer in ("general", "MESH", "NOPE")],
)
def test_services(told: Told, layer: str, is_listed: bool) -> None:
    found = told.client.query(f"{{listServices{layer}{{id name group shortName layers normal}}}}")["listServices"]
    plain = {"group": "", "shortName": told.service, "layers": ["GENERAL"], "normal": True}
    expected = [{"id": told.id, "name": told.service, **plain}] if is_listed else []
    assert [one for one in found if one["name"] == told.service] == expected


def instances(told: Told, service: str, period: dict[str, str], fields: str = "name") -> list[dict[str, Any]]:
    """What ``listInstances`` finds, by name: OAP has no order of its own."""
    text = f"query($d: Duration!, $s: ID!){{listInstances(duration: $d, serviceId: $s){{{fields}}}}}"
    return sorted(told.client.query(text, d=period, s=service)["listInstances"], key=lambda one: str(one["name"]))


def test_instances(told: Told) -> None:
    attributes = [{"name": "OS Name", "value": "Linux"}, {"name": "ipv4s", "value": "10.0.0.1,10.0.0.2"}]
    expected = [("idle", "UNKNOWN", []), ("one", "PYTHON", attributes), ("two", "UNKNOWN", [])]
    listed = [(name, ids.instance_id(told.service, name), language, told_) for name, language, told_ in expected]
    assert instances(told, told.id, told.days, "id name language instanceUUID attributes{name value}") == [
        {"id": key, "name": name, "language": language, "instanceUUID": key, "attributes": properties}
        for name, key, language, properties in listed
    ]


@pytest.mark.parametrize(
    ("start", "end", "step", "are_found"),
    [
        (0, 10, "DAY", True),
        (0, 10, "HOUR", True),
        (0, 60, "SECOND", True),
        (600, -600, "MINUTE", False),
        (-3600, -1800, "MINUTE", False),
    ],
)
def test_periods(told: Told, start: int, end: int, step: str, are_found: bool) -> None:
    period = told.period(start, end, step)
    assert bool(instances(told, told.id, period)) == are_found
    assert bool(told.client.query(TRACES, c=told.condition(queryDuration=period))["queryBasicTraces"]["traces"]) == (
        are_found
    )


NO_SERVICES = ["", "garbage", "a.b.c", "!!!.1", "bm9ib2R5.1", "{b64}.0", "{b64}.2", "{id}_b25l"]


@pytest.mark.parametrize("service", NO_SERVICES)
def test_ids_of_no_service(told: Told, service: str) -> None:
    asked = service.format(b64=ids.encode(told.service), id=told.id)
    assert instances(told, asked, told.days) == []
    answer = told.client.query(
        "query($s: ID!){findEndpoint(serviceId: $s, limit: 9){name} getProfileTaskList(serviceId: $s){id}}", s=asked
    )
    # An empty id is none at all: the tasks of every service, those that other tests have left there too.
    everyone = told.client.query("{getProfileTaskList{id}}")["getProfileTaskList"]
    assert answer == {"findEndpoint": [], "getProfileTaskList": everyone if not asked else []}


ENDPOINTS = ["", "/a", "/b", "/back", "/failed", "/log", "/zero", '/ü"\u202e<b>']


@pytest.mark.parametrize(
    ("keyword", "names"),
    [
        (None, ENDPOINTS),
        ("", ENDPOINTS),
        ("/a", ["/a"]),
        ("A", []),
        ('"', ['/ü"\u202e<b>']),
        ("*", []),
        (" ", []),
        ("nope", []),
    ],
)
def test_endpoints(told: Told, keyword: str | None, names: list[str]) -> None:
    text = "query($s: ID!, $k: String){findEndpoint(serviceId: $s, limit: 100, keyword: $k){id name}}"
    found = told.client.query(text, s=told.id, k=keyword)["findEndpoint"]
    assert sorted(one["name"] for one in found) == names
    assert all(one["id"] == ids.endpoint_id(told.service, one["name"]) for one in found)


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (1, 1), (8, 8), (10_000, 8), (2**31 - 1, 8)])
def test_limits_of_endpoints(told: Told, limit: int, count: int) -> None:
    assert len(told.client.endpoints(told.service, limit=limit)) == count


def test_the_time(told: Told) -> None:
    answer = told.client.query("{getTimeInfo{timezone currentTimestamp}}")["getTimeInfo"]
    assert answer["timezone"] == time.strftime("%z")
    assert abs(answer["currentTimestamp"] - time.time() * 1000) < 60_000


# Requests


def traces(told: Told, **changes: Any) -> list[str]:
    """The endpoints of the requests that meet a condition."""
    found = told.client.query(TRACES, c=told.condition(**changes))["queryBasicTraces"]["traces"]
    return [one["endpointNames"][0] for one in found]


def test_a_request(told: Told) -> None:
    found = told.client.query(TRACES, c=told.condition(paging={"pageSize": 1}))["queryBasicTraces"]
    assert found["traces"] == [
        {
            "segmentId": told.name("failed"),
            "endpointNames": ["/failed"],
            "duration": 100,
            "start": str(told.base + 100),
            "isError": True,
            "traceIds": [f"{told.service}-trace-failed"],
        }
    ]


LONGEST_FIRST = ["/failed", "_blank", "/a", "/b", "/log", '/ü"\u202e<b>', "/zero", "/back"]
LATEST_FIRST = ['/ü"\u202e<b>', "/log", "_blank", "/back", "/zero", "/failed", "/b", "/a"]
STATUS = "http.status_code"


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, LONGEST_FIRST),
        ({"queryOrder": "BY_START_TIME"}, LATEST_FIRST),
        ({"traceState": "ERROR"}, ["/failed"]),
        ({"traceState": "SUCCESS"}, LONGEST_FIRST[1:]),
        ({"minTraceDuration": 40}, LONGEST_FIRST[:3]),
        ({"maxTraceDuration": 30}, LONGEST_FIRST[3:]),
        ({"minTraceDuration": 30, "maxTraceDuration": 60}, LONGEST_FIRST[1:4]),
        ({"minTraceDuration": 60, "maxTraceDuration": 30}, []),
        ({"minTraceDuration": 0, "maxTraceDuration": 30}, LONGEST_FIRST[3:]),
        ({"minTraceDuration": -5, "maxTraceDuration": 0}, LONGEST_FIRST[:7]),
        ({"paging": {"pageNum": 1, "pageSize": 3}}, LONGEST_FIRST[:3]),
        ({"paging": {"pageNum": 3, "pageSize": 3}}, LONGEST_FIRST[6:]),
        ({"paging": {"pageNum": 0, "pageSize": 3}}, LONGEST_FIRST[:3]),
        ({"paging": {"pageNum": None, "pageSize": 3}}, LONGEST_FIRST[:3]),
        ({"paging": {"pageNum": 9, "pageSize": 3}}, []),
        ({"paging": {"pageNum": 1, "pageSize": 0}}, []),
        ({"tags": []}, LONGEST_FIRST),
        ({"tags": None}, LONGEST_FIRST),
        ({"tags": [{"key": STATUS, "value": "200"}]}, ["/a", "/b"]),
        ({"tags": [{"key": STATUS, "value": "20"}]}, []),
        ({"tags": [{"key": STATUS, "value": "500"}, {"key": "http.method", "value": "POST"}]}, ["/failed"]),
        ({"tags": [{"key": STATUS, "value": "500"}, {"key": "http.method", "value": "GET"}]}, []),
        ({"tags": [{"key": STATUS}]}, []),
        ({"tags": [{"key": STATUS, "value": ""}]}, []),
        ({"tags": [{"key": "http.url", "value": "u"}]}, []),
        ({"serviceId": "garbage"}, []),
        ({"serviceId": "bm9ib2R5.1"}, []),
        ({"endpointId": "garbage"}, []),
        ({"endpointId": ""}, LONGEST_FIRST),
        ({"serviceInstanceId": ""}, LONGEST_FIRST),
        ({"traceId": ""}, LONGEST_FIRST),
        ({"traceId": "nope"}, []),
    ],
)
def test_conditions(told: Told, changes: dict[str, Any], names: list[str]) -> None:
    assert traces(told, **changes) == names


def test_many_questions_in_one(told: Told) -> None:
    """As the page asks: a field for each of the endpoints, with the condition in the query."""
    names = ["/a", "/b", "", "/nope"]
    declared = ", ".join(f"$v{number}: ID!" for number in range(20))
    fields = "".join(
        f"""f{number}: queryBasicTraces(condition: {{serviceId: $s, endpointId: $v{number}, queryDuration: $d,
            traceState: ALL, queryOrder: BY_DURATION, paging: {{pageNum: 1, pageSize: 3}}}})
            {{traces{{endpointNames}}}} """
        for number in range(20)
    )
    asked = {f"v{number}": ids.endpoint_id(told.service, names[number % 4]) for number in range(20)}
    answer = told.client.query(
        f"query($s: ID!, $d: Duration!, {declared}){{{fields}}}", s=told.id, d=told.period(), **asked
    )
    found = [[one["endpointNames"] for one in answer[f"f{number}"]["traces"]] for number in range(20)]
    assert found == [[["/a"]], [["/b"]], [["_blank"]], []] * 5
    assert list(answer) == [f"f{number}" for number in range(20)]


def test_conditions_by_id(told: Told) -> None:
    assert traces(told, endpointId=ids.endpoint_id(told.service, "/a")) == ["/a"]
    assert traces(told, endpointId=ids.endpoint_id(told.service, "_blank")) == ["_blank"]
    assert traces(told, serviceInstanceId=ids.instance_id(told.service, "two")) == ['/ü"\u202e<b>']
    assert traces(told, serviceInstanceId=ids.instance_id("other", "two")) == []
    trace = f"{told.service}-trace-b"
    assert traces(told, traceId=trace) == traces(told, traceId=trace, queryDuration=...) == ["/b"]
    assert traces(told, traceId=trace, serviceId=...) == ["/b"]
    second = told.period(0, 0, "SECOND")
    assert set(traces(told, queryDuration=second)) <= set(LONGEST_FIRST)
    assert "/a" in traces(told, queryDuration=second)


# Profiled requests


def test_profiled_requests(told: Told) -> None:
    place = ids.instance_id(told.service, "one")
    plain = {"parentSpanId": -1, "refs": [], "serviceCode": told.service, "serviceInstanceName": "one", "peer": ""}
    plain |= {"isError": False, "tags": [], "logs": [], "profiled": True, "component": "Flask"}
    entry = {**plain, "spanId": 0, "type": "Entry", "layer": "Http"}

    def request(name: str, start: int, duration: int, *spans: dict[str, Any]) -> dict[str, Any]:
        return {
            "traceId": f"{told.service}-trace-{name}",
            "instanceId": place,
            "instanceName": "one",
            "endpointNames": [f"/{name}"],
            "duration": duration,
            "start": str(told.base + start),
            "spans": [{**span, "segmentId": told.name(name)} for span in spans],
        }

    def times(start: int, end: int, name: str) -> dict[str, Any]:
        return {"startTime": told.base + start, "endTime": told.base + end, "endpointName": name}

    inner = {**plain, **times(5, 9, "SELECT"), "spanId": 1, "parentSpanId": 0, "peer": "db:5432", "type": "Exit"}
    tags = [("http.method", "GET"), (STATUS, "200"), ("http.url", "u")]
    logs = [{"time": told.base + 510, "data": [{"key": "event", "value": "error"}]}]
    found = told.client.query(SEGMENTS, t=told.task)["getProfileTaskSegments"]
    assert sorted(found, key=lambda one: str(one["start"])) == [
        request(
            "a",
            0,
            40,
            {**inner, "layer": "Database"},
            {**entry, **times(0, 40, "/a"), "tags": [{"key": key, "value": value} for key, value in tags]},
        ),
        request("log", 500, 20, {**entry, **times(500, 520, "/log"), "logs": logs}),
    ]


@pytest.mark.parametrize("task", ["", "nope"])
def test_unknown_tasks(told: Told, task: str) -> None:
    assert told.client.query(SEGMENTS, t=task) == {"getProfileTaskSegments": []}
    assert told.client.query("query($t: String){getProfileTaskLogs(taskID: $t){id}}", t=task) == {
        "getProfileTaskLogs": []
    }


# Tasks

LEAST = {"duration": 0, "minDurationThreshold": -1, "dumpPeriod": 9, "maxSamplingCount": 0}
MOST = {"duration": 16, "dumpPeriod": 9, "maxSamplingCount": 10}
FINE = {"duration": 1, "minDurationThreshold": 0, "dumpPeriod": 10, "maxSamplingCount": 9}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"endpointName": "", **LEAST}, "endpoint name cannot be empty"),
        ({"endpointName": " \t"}, "endpoint name cannot be empty"),
        ({"duration": 0}, "monitor duration must greater than 1 minutes"),
        (LEAST, "monitor duration must greater than 1 minutes"),
        ({**LEAST, "duration": 1}, "min duration threshold must greater than or equals zero"),
        ({**LEAST, "duration": 16}, "min duration threshold must greater than or equals zero"),
        ({**MOST, "maxSamplingCount": 0}, "max sampling count must greater than zero"),
        (MOST, "The duration of the monitoring task cannot be greater than 15 minutes"),
        ({**MOST, "duration": 15}, "dump period must be greater than or equals 10 milliseconds"),
        ({"maxSamplingCount": 10}, "max sampling count must less than 10"),
    ],
)
def test_refused_tasks(told: Told, changes: dict[str, Any], reason: str) -> None:
    request = {"serviceId": told.id, "endpointName": "/a", **FINE, **changes}
    assert told.client.query(CREATE, r=request) == {"createProfileTask": {"errorReason": reason, "id": None}}
    assert told.client.tasks(told.service) == []


def test_a_task_from_its_creation_to_its_end(told: Told) -> None:
    service = f"{told.service}-tasks"
    identifier = ids.service_id(service)
    before = time.time_ns() // 1_000_000
    request = {"serviceId": identifier, "endpointName": " /a\t", "startTime": -1, **FINE}
    created = told.client.query(CREATE, r=request)["createProfileTask"]
    assert created["errorReason"] is None
    with pytest.raises(TaskRefused, match="current service already has monitor task execute at this time"):
        eventually_refused(told, service)
    with grpc.insecure_channel(told.backend) as channel:
        agent = Agent(channel, service)
        [command] = eventually(lambda: agent.commands(before - 1), "the task", DELIVERED_WITHIN)
        assert command == {
            "SerialNumber": command["SerialNumber"],
            "TaskId": created["id"],
            "EndpointName": "/a",
            "Duration": "1",
            "MinDurationThreshold": "0",
            "DumpPeriod": "10",
            "MaxSamplingCount": "9",
            "StartTime": command["StartTime"],
            "CreateTime": command["CreateTime"],
        }
        assert agent.commands(int(command["CreateTime"])) == []
        agent.finish(created["id"])
    logs = eventually(lambda: logged(told, created["id"]), "the logs", DELIVERED_WITHIN)
    text = """query($s: ID){getProfileTaskList(serviceId: $s){
        id serviceId serviceName endpointName startTime duration minDurationThreshold dumpPeriod maxSamplingCount
        logs{id instanceId instanceName operationType operationTime}}}"""
    assert told.client.query(text, s=identifier)["getProfileTaskList"] == [
        {
            "id": created["id"],
            "serviceId": identifier,
            "serviceName": service,
            "endpointName": "/a",
            "startTime": int(command["StartTime"]),
            **FINE,
            "logs": logs,
        }
    ]
    place = ids.instance_id(service, "one")
    assert [(one["operationType"], one["instanceId"], one["instanceName"]) for one in logs] == [
        ("EXECUTION_FINISHED", place, "one"),
        ("NOTIFIED", place, "one"),
    ]
    for one, number in zip(logs, (2, 1), strict=True):
        assert one["id"] == f"profile_task_log_{created['id']}_{place}_{number}_{one['operationTime']}"
        assert before <= one["operationTime"] <= time.time_ns() // 1_000_000
    by_name = "query($s: ID, $e: String){getProfileTaskList(serviceId: $s, endpointName: $e){endpointName}}"
    found = [len(told.client.query(by_name, s=identifier, e=name)["getProfileTaskList"]) for name in ("/a", "/z", "")]
    assert found == [1, 0, 1]


def eventually_refused(told: Told, service: str) -> None:
    """Create the same task again; a real OAP sees the first one once it is stored."""
    eventually(lambda: told.client.tasks(service), "the task in the list", DELIVERED_WITHIN)
    told.client.create_task(service, "/other")


def logged(told: Told, task: str) -> Any:
    """A task's logs once there are both."""
    text = """query($t: String){getProfileTaskLogs(taskID: $t)
        {id instanceId instanceName operationType operationTime}}"""
    logs = told.client.query(text, t=task)["getProfileTaskLogs"]
    return logs if len(logs) == 2 else None


def test_tasks_that_clash(told: Told) -> None:
    """The first one runs from 0:30 to 5:30 of some minutes in the future; others of five minutes start around it."""
    first = (told.base // MINUTE + 20) * MINUTE + MINUTE // 2
    clashes = {-330_001: False, -330_000: True, -300_000: True, 0: True, 300_000: True, 300_001: False}
    services = {offset: f"{told.service}{offset}" for offset in clashes}
    for service in services.values():
        told.client.create_task(service, "/a", duration=5, start=first)
    eventually(lambda: all(told.client.tasks(one) for one in services.values()), "the tasks", DELIVERED_WITHIN)
    refused = {}
    for offset, service in services.items():
        try:
            told.client.create_task(service, "/b", duration=5, start=first + offset)
            refused[offset] = False
        except TaskRefused:
            refused[offset] = True
    assert refused == clashes
    both = {offset: services[offset] for offset, clash in clashes.items() if not clash}
    eventually(lambda: all(len(told.client.tasks(one)) == 2 for one in both.values()), "the tasks", DELIVERED_WITHIN)
    orders = {offset: [task.start - first for task in told.client.tasks(one)] for offset, one in both.items()}
    assert orders == {-330_001: [0, -330_001], 300_001: [300_001, 0]}


# Analysis

PLAIN = [["1<0 e 90/10 x10", "2<1 a 40/40 x5", "3<1 b 40/40 x5"]]
ONE = [["1<0 e 0/0 x1", "2<1 only 0/0 x1"]]


@pytest.mark.parametrize(
    ("asked", "trees"),
    [
        ([("plain",)], PLAIN),
        ([("plain", 25, 55)], [["1<0 e 20/10 x3", "2<1 a 10/10 x2", "3<1 b 0/0 x1"]]),
        ([("plain", 20, 20)], [["1<0 e 0/0 x1", "2<1 a 0/0 x1"]]),
        ([("plain", 50, 20)], [["1<0 e 0/0 x1", "2<1 a 0/0 x1"]]),
        ([("plain", 5_000, 6_000)], [["1<0 e 0/0 x1", "2<1 a 0/0 x1"]]),
        ([("plain", 0, 20), ("plain", 50, 90)], [["1<0 e 60/0 x8", "2<1 a 20/20 x3", "3<1 b 40/40 x5"]]),
        ([("plain", 0, 50), ("plain", 30, 90)], PLAIN),
        ([("plain",)] * 20, PLAIN),
        ([("gap",)], [["1<0 e 20/0 x4", "2<1 a 20/20 x4"]]),
        ([("closed",)], [["1<0 e 24/0 x4", "2<1 a 10/10 x2", "3<1 b 14/14 x2"]]),
        ([("roots",)], [["1<0 e 10/0 x3", "2<1 a 10/10 x3"], ["1<0 f 0/0 x1", "2<1 a 0/0 x1"]]),
        ([("one",)], ONE),
        ([("later",)], [["1<0 e 10/0 x2", "2<1 a 10/10 x2"]]),
        ([("later", 500, 600)], []),
        ([("plain",), ("one",)], PLAIN),
        ([("one",), ("later",)], [["1<0 e 10/0 x3", "2<1 only 0/0 x1", "3<1 a 10/10 x2"]]),
        ([("plain",), ("later",)], [["1<0 e 210/120 x12", "2<1 a 50/50 x7", "3<1 b 40/40 x5"]]),
        (
            [("roots",), ("plain",)],
            [["1<0 e 70/10 x9", "2<1 a 20/20 x4", "3<1 b 40/40 x5"], ["1<0 f 0/0 x1", "2<1 a 0/0 x1"]],
        ),
        ([("nope",), ("plain",)], PLAIN),
        ([("nope",)], []),
        ([], []),
    ],
)
def test_analyses(told: Told, asked: list[tuple[Any, ...]], trees: list[list[str]]) -> None:
    assert told.trees(*(told.stretch(*one) for one in asked)) == trees


def test_hostile_frames(told: Told) -> None:
    frames = ['ü"\u202e', "</script><img onerror=x>", "x" * 10_000]
    [elements] = told.trees(told.stretch("hostile"))
    own = [0, 0, 5]
    assert elements == [f"{n + 1}<{n} {frame} 5/{own[n]} x2" for n, frame in enumerate(frames)]


@pytest.mark.parametrize("form", [str, float])
def test_the_forms_of_a_time(told: Told, form: type) -> None:
    asked = told.stretch("plain")
    asked["timeRange"] = {key: form(value) for key, value in asked["timeRange"].items()}
    assert told.trees(asked) == PLAIN
    answer = told.client.query(
        f'{{getSegmentsProfileAnalyze(queries: {{segmentId: "{told.name("one")}", timeRange: {{start: "0", end: 9}}}})'
        "{tip trees{elements{count}}}}"
    )
    assert answer["getSegmentsProfileAnalyze"] == {"tip": None, "trees": [{"elements": [{"count": 1}] * 2}]}


ROOT = {"id": "1", "text": "e", "count": 10}
CHILDREN = [{"id": "2", "text": "a", "count": 5}, {"id": "3", "text": "b", "count": 5}]


@pytest.mark.parametrize(
    ("selection", "more"),
    [
        ("elements{id text: codeSignature count}", {}),
        ("elements{id} elements{text: codeSignature count id}", {}),
        ("elements{...f text: codeSignature}", {}),
        ("elements{id ... on ProfileStackElement{text: codeSignature} count}", {}),
        ("elements{id text: codeSignature count duration @skip(if: true)}", {}),
        ("elements{id text: codeSignature count duration @include(if: $no)}", {}),
        ("...g", {}),
        ("elements{kind: __typename id text: codeSignature count}", {"kind": "ProfileStackElement"}),
    ],
)
def test_the_forms_of_a_selection(told: Told, selection: str, more: dict[str, str]) -> None:
    text = (
        "query($q: [SegmentProfileAnalyzeQuery!]!, $no: Boolean!)"
        f"{{found: getSegmentsProfileAnalyze(queries: $q){{trees{{{selection}}} tip @include(if: $no) ...t}}}}"
        "fragment f on ProfileStackElement{id count} fragment g on ProfileStackTree{elements{...f text: codeSignature}}"
        "fragment t on ProfileAnalyzation{again: trees{...g} nothing: tip}"
    )
    found = told.client.query(text, q=[told.stretch("plain")], no=False)["found"]
    elements = [{**more, **one} for one in (ROOT, *CHILDREN)]
    assert found == {
        "trees": [{"elements": elements}],
        "again": [{"elements": [ROOT, *CHILDREN]}],
        "nothing": None,
    }


# What is no query, or a bad one

STRETCH = {"segmentId": "x", "timeRange": {"start": 0, "end": 1}}
PERIOD = {"start": "2026-11-23", "end": "2026-11-23", "step": "DAY"}
FIELDS = ("findEndpoint", "listInstances", "createProfileTask", "queryBasicTraces")
INSTANCES = 'query($d: Duration!){listInstances(duration: $d, serviceId: "x"){id}}'
ENDPOINT = 'query($l: Int!){findEndpoint(serviceId: "x", limit: $l){id}}'


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"{}", b'{"query": null}', b'{"query": 1}', b'{"query": ""}']
    + [
        b'{"query": "{version}", ' + rest + b"}"
        for rest in (b'"variables": []', b'"variables": "x"', b'"operationName": 1')
    ],
)
def test_bodies_that_are_no_query(told: Told, body: bytes) -> None:
    assert told.post(body)[0] == 400


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("{nope}", "nope"),
        ("{listServices{nope}}", "nope"),
        ("{listServices(nope: 1){name}}", "nope"),
        ("{findEndpoint(limit: 1){name}}", "serviceId"),
        ("{listServices}", "listServices"),
        ("{version{x}}", "version"),
        ("{createProfileTask{id}}", "createProfileTask"),
        ("{findEndpoint(serviceId: $x, limit: 1){name}}", "x'"),
        ("query($x: ID){version}", "x'"),
        ("{...x}", "'x'"),
        ("{...x} fragment x on Query{...x}", ""),
        ("{getProfileTaskSegments(taskID: null){traceId}}", ""),
    ],
)
def test_queries_that_do_not_fit(told: Told, query: str, named: str) -> None:
    status, answer = told.post(query)
    assert (status, list(answer)) == (400, ["errors"])
    assert any(named in error["message"] for error in answer["errors"])
    assert all(error["message"] for error in answer["errors"])


@pytest.mark.parametrize("query", ["{", "query(", "# nothing"])
def test_queries_that_cannot_be_read(told: Told, query: str) -> None:
    status, answer = told.post(query)
    assert (status in (200, 400), list(answer)) == (True, ["errors"])  # OAP says 200, which no proxy understands
    [error] = answer["errors"]
    assert error["message"]
    assert error["locations"][0]["line"] == 1


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (INSTANCES, {}),
        (INSTANCES, {"d": None}),
        (INSTANCES, {"d": {**PERIOD, "step": "MONTH"}}),
        (INSTANCES, {"d": {**PERIOD, "end": None}}),
        (INSTANCES, {"d": {"start": "2026-11-23", "step": "DAY"}}),
        (INSTANCES, {"d": {**PERIOD, "nope": 1}}),
        *((ENDPOINT, {"l": limit}) for limit in (None, True, "x", 1.5, 2**31, -(2**31) - 1, [1])),
        (ANALYZE, {"q": None}),
        (ANALYZE, {"q": [None]}),
        (ANALYZE, {"q": [{**STRETCH, "timeRange": None}]}),
        (ANALYZE, {"q": [{**STRETCH, "segmentId": None}]}),
        (ANALYZE, {"q": [{**STRETCH, "timeRange": {"start": 1}}]}),
        (CREATE, {"r": {"serviceId": "x", "endpointName": None, **FINE}}),
        (CREATE, {"r": {"endpointName": "/a", **FINE}}),
        (CREATE, {"r": {"serviceId": "x", "endpointName": "/a", **FINE, "nope": 1}}),
        (TRACES, {"c": {"traceId": "x", "traceState": "NOPE", "queryOrder": "BY_DURATION", "paging": {"pageSize": 1}}}),
    ],
)
def test_variables_that_do_not_fit(told: Told, query: str, variables: dict[str, Any]) -> None:
    status, answer = told.post(query, **variables)
    assert (status, list(answer)) == (200, ["errors"])
    assert all(error["message"] for error in answer["errors"])


@pytest.mark.parametrize("time", ["x", True, 1.5, [1], 2**63])
def test_what_is_no_long(told: Told, time: Any) -> None:
    for query, variables in (
        (ANALYZE, {"q": [{**STRETCH, "timeRange": {"start": 0, "end": time}}]}),
        (CREATE, {"r": {"serviceId": "eA==.1", "endpointName": "/a", **FINE, "startTime": time}}),
    ):
        status, answer = told.post(query, **variables)
        assert (status, answer.get("data")) == (200, None)
        assert answer["errors"][0]["message"]


@pytest.mark.parametrize(
    ("query", "variables", "named"),
    [
        (ENDPOINT, {"l": -1}, "-1"),
        (INSTANCES, {"d": {**PERIOD, "start": "garbage"}}, "garbage"),
        (INSTANCES, {"d": {**PERIOD, "step": "MINUTE"}}, "2026-11-23"),
        (INSTANCES, {"d": {**PERIOD, "start": "2026-13-01"}}, "2026-13-01"),
        (CREATE, {"r": None}, "creationRequest"),
        (TRACES, {"c": None}, "condition"),
    ],
)
def test_fields_that_fail(told: Told, query: str, variables: dict[str, Any], named: str) -> None:
    status, answer = told.post(query, **variables)
    name = next(name for name in FIELDS if name in query)
    assert (status, answer["data"]) == (200, {name: None} if name == "queryBasicTraces" else None)
    [error] = answer["errors"]
    assert named in error["message"]
    assert error["path"] == [name]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"paging": {"pageSize": -1}}, "-1"),
        ({"paging": {"pageNum": -1, "pageSize": 2}}, "-"),
        ({"queryDuration": None}, "The condition must contains either queryDuration or traceId."),
        ({"queryDuration": None, "traceId": ""}, "The condition must contains either queryDuration or traceId."),
    ],
)
def test_conditions_that_fail(told: Told, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(OapError, match=named):
        traces(told, **changes)
    both = TRACES.replace("{queryBasicTraces", "{__typename queryBasicTraces", 1)
    status, answer = told.post(both, c=told.condition(**changes))
    assert (status, answer["data"]) == (200, {"__typename": "Query", "queryBasicTraces": None})


def test_operations_by_name(told: Told) -> None:
    for operation in ("null", '""'):
        status, answer = told.post(b'{"query": "{__typename}", "operationName": %s}' % operation.encode())
        assert (status, answer) == (200, {"data": {"__typename": "Query"}})
    status, answer = told.post(b'{"query": "query a{__typename} query b{x: __typename}", "operationName": "b"}')
    assert (status, answer) == (200, {"data": {"x": "Query"}})
    for body in (b'{"query": "{__typename}", "operationName": "x"}', b'{"query": "query a{version} query b{version}"}'):
        assert "data" not in told.post(body)[1]
