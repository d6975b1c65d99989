"""The embedded collector does no harm where it runs: who may talk to it, and how much people may ask."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from graphql import get_introspection_query

from swprof_mw.collector import app, receiver
from swprof_mw.collector.graphql import Api, BadRequest
from swprof_mw.collector.server import Collector, CollectorError
from swprof_mw.collector.store import Store
from swprof_mw.config import Config
from swprof_mw.page import access, questions
from swprof_mw.page.app import AT_ONCE
from swprof_mw.query.client import OapClient, OapError, service_id
from swprof_mw.records import Segment as Reported
from swprof_mw.reporter import protocol
from swprof_mw.reporter.reporter import Reporter
from tests import asgi_driver
from tests.doubles import wait_until
from tests.test_collector import Agent

TOKEN = "right-t0ken"
VERSION = b'{"query": "{version}"}'


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector(0, 0) as started:
        yield started


@pytest.fixture
def agent(collector: Collector) -> Iterator[Agent]:
    """Of a service of its own: the collector is all tests'."""
    with grpc.insecure_channel(collector.backend) as channel:
        yield Agent(channel, f"service-{uuid.uuid4().hex[:8]}")


def ask(port: int, headers: dict[str, str], body: bytes = VERSION, host: str = "127.0.0.1") -> tuple[int, Any]:
    """POST a query with these headers besides ``Content-Type: application/json``; status and JSON."""
    connection = http.client.HTTPConnection(host, port, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


# Who may ask


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_beyond_loopback_there_must_be_a_token(host: str) -> None:
    with pytest.raises(CollectorError, match=r"is not loopback: a token is needed"):
        Collector(0, 0, host).start()


@pytest.mark.parametrize("token", ["two words", "tökén", "line\nbreak"])
def test_a_token_that_cannot_be_sent_is_an_error_that_does_not_show_it(token: str) -> None:
    with pytest.raises(CollectorError) as raised:
        Collector(0, 0, token=token).start()
    assert str(raised.value) == "the token must be printable ASCII without blanks"


@pytest.mark.parametrize("host", ["no.such.host.invalid", ""])
def test_a_host_without_an_address_is_an_error(host: str) -> None:
    with pytest.raises(CollectorError, match=f"no address is known for {host}"):
        Collector(0, 0, host).start()


def test_what_is_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(access.is_loopback(host) for host in ("127.0.0.1", "127.8.9.10", "::1", "localhost"))
    assert not any(access.is_loopback(host) for host in ("0.0.0.0", "192.0.2.1", "::"))
    both = [(0, 0, 0, "", ("127.0.0.1", 0)), (0, 0, 0, "", ("192.0.2.1", 0))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: both)
    assert not access.is_loopback("a-name-for-both")


@pytest.fixture(scope="module")
def locked() -> Iterator[Collector]:
    """A collector that other machines reach, so with a token."""
    with Collector(0, 0, "0.0.0.0", token=TOKEN) as started:
        yield started


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"authorization": f"bearer  {TOKEN}", "Host": "collector.test:12800"}, 200),
        ({}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Bearer t\xf6ken"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"authentication": TOKEN}, 401),
        ({"Authorization": f"Bearer {TOKEN}", "Origin": "http://evil.test"}, 403),
    ],
)
def test_people_must_show_the_token(locked: Collector, headers: dict[str, str], status: int) -> None:
    found, answer = ask(locked.http_port, headers)
    assert found == status
    assert ("data" in answer) == (status == 200)
    assert TOKEN not in json.dumps(answer)


def test_without_the_token_not_even_the_paths_are_told(locked: Collector) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", locked.http_port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/nowhere")
        answer = connection.getresponse()
        answer.read()
    assert (answer.status, answer.getheader("WWW-Authenticate")) == (401, "Bearer")


def test_the_client_shows_its_token_and_sends_it_nowhere_else(locked: Collector) -> None:
    url = f"http://127.0.0.1:{locked.http_port}"
    assert OapClient(url, TOKEN).services() == []
    with pytest.raises(OapError, match="a token is needed"):
        OapClient(url).services()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        asked = redirecting(listening, f"{url}/graphql")
        with pytest.raises(OapError, match="answers 302 Found"):
            OapClient(f"http://127.0.0.1:{listening.getsockname()[1]}", TOKEN).services()
        asked.join(5)


def redirecting(listening: socket.socket, target: str) -> threading.Thread:
    """Answers one request with a redirect."""

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


METADATA: list[tuple[Any, ...]] = [
    (),
    (("authentication", "wrong"),),
    (("authentication", ""),),
    (("authentication", TOKEN), ("authentication", "wrong")),
    (("authorization", TOKEN),),
]


@pytest.mark.parametrize("metadata", METADATA)
@pytest.mark.parametrize("call", [protocol.KEEP_ALIVE, protocol.COLLECT_SNAPSHOT], ids=lambda call: str(call.method))
def test_agents_must_show_the_token(locked: Collector, call: protocol.Call, metadata: tuple[Any, ...]) -> None:
    request = call.request()
    with grpc.insecure_channel(f"127.0.0.1:{locked.grpc_port}") as channel, pytest.raises(grpc.RpcError) as raised:
        call.stub(channel)(iter([request]) if call.streaming else request, timeout=10, metadata=metadata)
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert TOKEN not in str(raised.value)


def test_our_agent_reports_with_its_token_and_only_with_it(locked: Collector) -> None:
    for number, token in enumerate((TOKEN, "wrong")):
        reporter = Reporter(config(locked.grpc_port, token))
        reporter.start()
        reporter.segments.add(reported(f"shop-{number}", "one"))
        reporter.stop(2.0)
    assert OapClient(f"http://127.0.0.1:{locked.http_port}", TOKEN).services() == ["shop-0"]


def test_a_call_without_the_token_is_refused_before_anything_of_it_is_read(locked: Collector) -> None:
    too_long = protocol.InstancePingPkg(service="x" * (receiver.LONGEST_MESSAGE + 1))
    with grpc.insecure_channel(f"127.0.0.1:{locked.grpc_port}") as channel, pytest.raises(grpc.RpcError) as raised:
        protocol.KEEP_ALIVE.stub(channel)(too_long, timeout=20)
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED


def config(port: int, token: str = "") -> Config:
    """Of an agent of this collector."""
    return Config.load({"backend_services": f"127.0.0.1:{port}", "authentication": token}, environ={})


def reported(service: str, identifier: str, **changes: Any) -> Reported:
    """A segment as our agent has it."""
    plain = Reported(
        trace_id=f"trace-{identifier}",
        segment_id=identifier,
        service=service,
        instance="one",
        operation="/e",
        start=1,
        end=2,
        peer="",
        component=7001,
        is_error=False,
        tags=(),
        log=(),
        reference=None,
        skip_analysis=False,
    )
    return plain._replace(**changes)


# Pages of other sites


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "localhost:12800"}, 200),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "shop.localhost:1"}, 200),
        ({"Host": "127.0.0.1"}, 200),
        ({"Host": "[::1]:12800"}, 200),
        ({"Host": "192.0.2.7:12800"}, 200),
        ({"Host": "evil.test"}, 403),
        ({"Host": "evil.test:12800"}, 403),
        ({"Host": "localhost.evil.test"}, 403),
        ({"Host": "127.0.0.1.evil.test"}, 403),
        ({"Host": "127.0.0.1@evil.test"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "localhost:1", "Origin": "http://localhost:1", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Host": "localhost:1", "Origin": "http://localhost:2"}, 403),
        ({"Host": "localhost", "Origin": "http://evil.test"}, 403),
        ({"Host": "evil.test", "Origin": "http://evil.test", "Sec-Fetch-Site": "same-origin"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Type": "text/plain; application/json"}, 415),
        ({"Content-Type": ""}, 415),
    ],
)
def test_what_a_browser_might_be_made_to_send(collector: Collector, headers: dict[str, str], status: int) -> None:
    found, answer = ask(collector.http_port, headers)
    assert found == status
    assert ("data" in answer) == (status == 200)


def test_a_task_is_not_created_across_sites(collector: Collector, agent: Agent) -> None:
    agent.request(0, 1)
    request = f"""{{serviceId: "{service_id(agent.service)}", endpointName: "/e", duration: 1,
        minDurationThreshold: 0, dumpPeriod: 10, maxSamplingCount: 1}}"""
    body = json.dumps({"query": f"mutation{{createProfileTask(creationRequest: {request}){{id}}}}"}).encode()
    assert ask(collector.http_port, {"Origin": "http://evil.test"}, body)[0] == 403
    assert OapClient(collector.url).tasks(agent.service) == []
    assert ask(collector.http_port, {}, body)[0] == 200
    assert len(OapClient(collector.url).tasks(agent.service)) == 1


def test_a_browser_is_not_told_that_it_may_ask(collector: Collector) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", collector.http_port, timeout=10)
    with contextlib.closing(connection):
        headers = {"Origin": "http://evil.test", "Access-Control-Request-Method": "POST"}
        connection.request("OPTIONS", "/graphql", headers=headers)
        answer = connection.getresponse()
        answer.read()
    assert answer.status == 403
    assert not [name for name, _ in answer.getheaders() if name.lower().startswith("access-control")]


@pytest.mark.parametrize("lines", [[], ["Host: localhost", "Host: evil.test"]], ids=["none", "two"])
def test_there_is_one_host_header(collector: Collector, lines: list[str]) -> None:
    with socket.create_connection(("127.0.0.1", collector.http_port), timeout=10) as connection:
        head = ["POST /graphql HTTP/1.0", *lines, "Content-Type: application/json", f"Content-Length: {len(VERSION)}"]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + VERSION)
        assert b" 400 " in connection.recv(65_536).splitlines()[0]


def test_curl_works(collector: Collector) -> None:
    command = ["curl", "-s", "-H", "Content-Type: application/json", "-d", VERSION.decode(), f"{collector.url}/graphql"]
    done = subprocess.run(command, capture_output=True, timeout=20, check=True)
    assert "version" in json.loads(done.stdout)["data"]


@pytest.mark.parametrize(("host", "status"), [("profiles.test:1", 200), ("other.test", 403)])
def test_the_name_that_it_was_told_to_listen_on_is_its_own(host: str, status: int) -> None:
    headers = [(b"host", host.encode()), (b"content-type", b"application/json")]
    scope = {**asgi_driver.http("/graphql", "POST"), "headers": headers}
    received = {"type": "http.request", "body": VERSION, "more_body": False}
    application: Any = app.app(Store(), "Profiles.Test")
    assert asgi_driver.call(application, scope, [received]).status == status


# How much people may ask


def refusal(query: str) -> str:
    """Why this query is not answered."""
    with pytest.raises(BadRequest) as raised:
        Api(Store()).answer(query)
    return str(raised.value)


def doubling(levels: int) -> str:
    """A query whose fragments are twice as long at each level."""
    parts = [f"fragment f{n} on Query {{a: __typename ...f{n + 1} ...f{n + 1}}}" for n in range(levels)]
    return f"{{...f0}} {' '.join(parts)} fragment f{levels} on Query {{version}}"


def test_queries_that_would_take_long_are_refused_at_once() -> None:
    began = time.monotonic()
    assert refusal("{a" * 25 + "}" * 25) == "the query is nested more than 20 levels deep"
    assert refusal("{" + "version " * 501 + "}") == "the query has more than 500 fields"
    assert refusal("{" + " ".join(f"v{n}: version" for n in range(21)) + "}") == (
        "the query has more than 20 fields at the top"
    )
    assert refusal(doubling(15)) == "the query has more than 500 fields"
    assert refusal("{...a} fragment a on Query {...b} fragment b on Query {...a}") == (
        "the query is nested more than 20 levels deep"
    )
    types = "{fields{type" * 3 + "{name}" + "}}" * 3
    assert refusal("{__schema{types" + types + "}}") == "the query asks for the types of the types' types"
    assert refusal("{... on Query{... on Query{" + "a: version " * 501 + "}}}") == "the query has more than 500 fields"
    assert refusal("{" + "...f " * 2001 + "} fragment f on Query {version}").startswith("the query has more than 500")
    bare = " ".join(f"fragment f{n} on Query {{...f{n + 1} ...f{n + 1}}}" for n in range(15))
    assert refusal(f"{{...f0}} {bare}") == "the query has more than 2000 fields and fragments"
    assert time.monotonic() - began < 2.0


def test_tools_may_ask_for_the_schema() -> None:
    every = dict.fromkeys(("specified_by_url", "directive_is_repeatable", "schema_description"), True)
    for query in (get_introspection_query(), get_introspection_query(**every)):
        answer = Api(Store()).answer(query)
        assert "errors" not in answer
        assert {"name": "ProfileTask"}.items() <= next(
            one.items() for one in answer["data"]["__schema"]["types"] if one["name"] == "ProfileTask"
        )


def test_an_analysis_has_so_many_parts() -> None:
    part = '{segmentId: "x", timeRange: {start: 0, end: 1}}'
    asked = "{{getSegmentsProfileAnalyze(queries: [{}]){{tip}}}}"
    assert "errors" not in Api(Store()).answer(asked.format(part * 20))
    [error] = Api(Store()).answer(asked.format(part * 21))["errors"]
    assert error["message"] == "more than 20 queries"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (
            json.dumps({"query": "{version}", "variables": {"x": "y" * questions.LONGEST_BODY}}).encode(),
            413,
            "longer than",
        ),
        (b'{"query": "{version}", "variables": {"a": ' + b"[" * 19 + b"]" * 19 + b"}}", 400, "more than 20 levels"),
        (b'{"query": "{version}", "variables": {"a": ' + b"[" * 200_000, 400, "not JSON"),
        (b'{"query": "{version}", "variables": {"a": ' + b'{"a": ' * 21 + b"1" + b"}" * 23, 400, "more than 20 levels"),
        (b'{"query": "{version}", "variables": {"a": ' + b"9" * 900_000 + b"}}", 400, "not JSON"),
    ],
)
def test_bodies_have_bounds(collector: Collector, body: bytes, status: int, message: str) -> None:
    found, answer = ask(collector.http_port, {}, body)
    assert (found, list(answer)) == (status, ["errors"])
    assert message in answer["errors"][0]["message"]
    assert ask(collector.http_port, {})[0] == 200


def test_variables_may_be_as_deep_as_they_need(collector: Collector) -> None:
    body = b'{"query": "{version}", "variables": {"a": ' + b"[" * 18 + b"]" * 18 + b"}}"
    assert ask(collector.http_port, {}, body)[0] == 200


def test_a_body_that_does_not_come_is_not_waited_for(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "SLOWEST_BODY", 0.2)
    with socket.create_connection(("127.0.0.1", collector.http_port), timeout=10) as connection:
        head = (
            "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        )
        connection.sendall(head.encode() + b"{")
        assert b" 408 " in connection.recv(65_536).splitlines()[0]


def test_so_many_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swprof_mw.page.server.MOST_CONNECTIONS", 3)
    with Collector(0, 0) as started, contextlib.ExitStack() as held:
        for _ in range(3):
            held.enter_context(socket.create_connection(("127.0.0.1", started.http_port), timeout=5))
        wait_until(lambda: status_of(started) == 503)
        held.close()
        wait_until(lambda: status_of(started) == 200)


def status_of(collector: Collector) -> int:
    """Of a query; 0 if there is no answer in JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", collector.http_port, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", "/graphql", VERSION, {"Content-Type": "application/json"})
        return connection.getresponse().status


def test_few_queries_are_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    going, most, lock = 0, 0, threading.Lock()

    def slow(*_: object) -> dict[str, Any]:
        nonlocal going, most
        with lock:
            going += 1
            most = max(most, going)
        time.sleep(0.1)
        with lock:
            going -= 1
        return {"data": {}}

    monkeypatch.setattr(Api, "answer", slow)
    with Collector(0, 0) as started:
        threads = [threading.Thread(target=ask, args=(started.http_port, {})) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == AT_ONCE
