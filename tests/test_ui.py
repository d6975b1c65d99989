"""``swprof ui``: the page over an OAP, to which queries go, and nothing else of what a browser sends."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from swprof_mw.cli.main import main
from swprof_mw.collector.server import Collector
from swprof_mw.query import transport
from swprof_mw.query.client import OapClient, OapError
from tests.certificates import Authority
from tests.oap.server import OapServer
from tests.pages import JSON, VERSION, FakeOap, Told, ask, fake_oap, post, ui
from tests.test_collector import Agent
from tests.waiting import eventually

TOKEN = "right-t0ken"
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def fake() -> Iterator[FakeOap]:
    with fake_oap() as started:
        yield started


@pytest.fixture
def port(fake: FakeOap) -> Iterator[int]:
    """Of the page over that OAP."""
    with ui(fake.url) as number:
        yield number


@contextlib.contextmanager
def command(*options: str, **environ: str) -> Iterator[tuple[int, list[str]]]:
    """The command in a process of its own: its port, and the lines that it printed."""
    words = [sys.executable, "-m", "swprof_mw", "ui", "--port", "0", *options]
    env = {**os.environ, **environ}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline(), process.stdout.readline()]
        try:
            yield int(lines[1].rstrip("/\n").rpartition(":")[2]), lines
        finally:
            process.terminate()
            printed, errors = process.communicate(timeout=20)
    assert (process.returncode, printed, errors) == (0, "", "")


def shown(fake: FakeOap) -> str:
    """What the OAP was shown last."""
    return fake.asked[-1][2].get("authorization", "")


# What gets to the OAP


def test_a_query_gets_there_and_its_answer_back(fake: FakeOap, port: int) -> None:
    fake.content = '{"data": {"name": "日本 </script>"}}'.encode()
    asked = {"query": "query q($a: Int){x}", "variables": {"a": [1, None, "\ud800"]}, "operationName": "q"}
    told = post(port, "/graphql", asked)
    assert (told.status, told.headers["content-type"], told.content) == (200, JSON, fake.content)
    [(method, path, _, body)] = fake.asked
    assert (method, path, json.loads(body)) == ("POST", "/graphql", asked)


def test_a_plain_query_gets_there_as_json(fake: FakeOap, port: int) -> None:
    assert ask(port, "POST", "/graphql", {"Content-Type": "application/graphql"}, b"{version}").status == 200
    assert json.loads(fake.asked[0][3]) == {"query": "{version}"}
    assert fake.asked[0][2]["content-type"] == JSON


def test_nothing_else_of_a_request_gets_there(fake: FakeOap, port: int) -> None:
    headers = {
        "Authorization": "Bearer browser",
        "Cookie": "session=secret",
        "Proxy-Authorization": "Basic eA==",
        "X-Forwarded-For": "192.0.2.1",
        "X-Anything": "x",
        "Referer": "http://127.0.0.1/secret",
        "User-Agent": "Browser/1",
        "Accept-Language": "de",
        "sw8": "1-x",
    }
    extra = {"query": "{version}", "extensions": {"persistedQuery": 1}, "secret": 1}
    assert post(port, "/graphql?x=y", extra, headers).status == 200
    [(_, path, got, body)] = fake.asked
    assert (path, json.loads(body)) == ("/graphql", {"query": "{version}"})
    assert set(got) == {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    }
    assert got["host"] == f"127.0.0.1:{fake.port}"
    assert not set(got.values()) & set(headers.values())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/graphql"),
        ("GET", "/graphql?query={version}"),
        ("PUT", "/graphql"),
        ("OPTIONS", "/graphql"),
        ("POST", "/"),
        ("POST", "/graphql/"),
        ("POST", "/graphql/../v3/segments"),
        ("POST", "//evil.test/graphql"),
        ("POST", "/v3/segments"),
        ("POST", "/zipkin"),
        ("GET", "/about"),
        ("GET", "/internal/l7check"),
    ],
)
def test_no_other_path_or_method_leads_there(fake: FakeOap, port: int, method: str, path: str) -> None:
    ask(port, method, path, {"Content-Type": JSON}, VERSION if method in ("POST", "PUT") else None)
    assert fake.asked == []


def test_an_address_in_the_request_leads_nowhere(fake: FakeOap, port: int) -> None:
    with fake_oap() as other, socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = [f"POST {other.url}/graphql HTTP/1.1", "Host: localhost", f"Content-Type: {JSON}", "Connection: close"]
        connection.sendall("\r\n".join([*head, f"Content-Length: {len(VERSION)}", "", ""]).encode() + VERSION)
        while connection.recv(65_536):
            pass
        assert other.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.test"},
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_what_another_site_makes_a_browser_send_does_not_get_there(
    fake: FakeOap, port: int, headers: dict[str, str]
) -> None:
    assert post(port, "/graphql", VERSION, headers).status in (403, 415)
    export = {"format": "collapsed", "task": "x"}
    assert post(port, "/export", export, headers).status in (403, 415)
    assert fake.asked == []


# What comes back


@pytest.mark.parametrize("status", [200, 400, 404, 422, 500, 503])
def test_status_and_json_come_back_and_no_header(fake: FakeOap, port: int, status: int) -> None:
    fake.status, fake.content = status, b'{"errors": [{"message": "no"}]}'
    fake.headers = {"Content-Type": "text/html", "Set-Cookie": "a=b", "Access-Control-Allow-Origin": "*", "X-Any": "1"}
    told = post(port, "/graphql", VERSION)
    assert (told.status, told.content, told.headers["content-type"]) == (status, fake.content, JSON)
    assert not told.headers.keys() & {"set-cookie", "access-control-allow-origin", "x-any"}


@pytest.mark.parametrize(
    "content",
    [b"<html><script>alert(1)</script>", b"", b'{"data": ', b"\xff", b'{"data": NaN}', b"[" * 100_000],
)
def test_what_is_no_json_does_not_come_back(fake: FakeOap, port: int, content: bytes) -> None:
    for fake.status in (200, 500):
        fake.content = content
        told = post(port, "/graphql", VERSION)
        assert (told.status, told.headers["content-type"]) == (502, JSON)
        assert re.fullmatch(rf"{fake.url}/graphql answers {fake.status} .*, not as an OAP does", told.error)


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_refusal_of_what_was_shown_is_not_the_browsers(fake: FakeOap, port: int, status: int) -> None:
    fake.status, fake.headers = status, {"WWW-Authenticate": "Basic realm=x", "Content-Type": JSON}
    told = post(port, "/graphql", VERSION)
    assert told.status == 502
    assert told.error.endswith("; are the token, or the name and the password, right?")
    assert "www-authenticate" not in told.headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(fake: FakeOap, status: int) -> None:
    with fake_oap() as other, ui(fake.url, "Bearer secret") as port:
        fake.status, fake.headers = status, {"Location": f"{other.url}/graphql", "Content-Type": JSON}
        told = post(port, "/graphql", VERSION)
        assert (told.status, "location" in told.headers, other.asked) == (502, False, [])
        assert f"answers {status}" in told.error
        assert post(port, "/export", {"format": "collapsed", "task": "x"}).status == 502
        assert other.asked == []


def test_an_oap_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
    with ui(url) as port:
        for told in (post(port, "/graphql", VERSION), post(port, "/export", {"format": "pprof", "task": "x"})):
            assert (told.status, told.headers["content-type"]) == (502, JSON)
            assert told.error.startswith(f"cannot reach {url}/graphql: ")
            assert told.error.endswith("Connection refused")


def test_an_answer_has_a_size(fake: FakeOap, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.content = b'"' + b"x" * 998 + b'"'
    monkeypatch.setattr(transport, "LONGEST_ANSWER", 1_000)
    assert post(port, "/graphql", VERSION).status == 200
    monkeypatch.setattr(transport, "LONGEST_ANSWER", 999)
    told = post(port, "/graphql", VERSION)
    assert (told.status, told.error) == (502, f"{fake.url}/graphql answers more than 999 bytes")


def test_an_answer_has_a_time_whole_not_for_each_byte(
    fake: FakeOap, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.pause, fake.content = 0.1, b'"' + b"x" * 200 + b'"'
    monkeypatch.setattr(transport, "WITHIN", 1.0)
    began = time.monotonic()
    told = post(port, "/graphql", VERSION)
    assert (told.status, told.error) == (502, f"cannot reach {fake.url}/graphql: timed out")
    assert time.monotonic() - began < 10.0


def test_the_head_of_an_answer_has_that_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "WITHIN", 1.0)
    enough = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not enough.wait(0.1):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        with pytest.raises(OapError, match="timed out"):
            OapClient(f"http://127.0.0.1:{listening.getsockname()[1]}").services()
        enough.set()
        thread.join()
    assert time.monotonic() - began < 10.0


def test_queries_that_wait_do_not_keep_the_page_waiting(fake: FakeOap, port: int) -> None:
    fake.pause = 0.1
    threads = [threading.Thread(target=post, args=(port, "/graphql", VERSION)) for _ in range(8)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(fake.asked) >= 4, "queries wait", interval=0.01)
    began = time.monotonic()
    assert ask(port, "GET", "/").status == ask(port, "GET", "/about").status == 200
    assert time.monotonic() - began < 1.0
    assert len(fake.asked) == 4
    fake.pause = 0.0
    for thread in threads:
        thread.join()


# What the OAP is shown


def test_a_token_is_shown_to_the_oap_alone(fake: FakeOap) -> None:
    with command("--oap", fake.url, SWPROF_COLLECTOR_TOKEN=TOKEN) as (port, lines):
        told = post(port, "/graphql", VERSION, {"Authorization": "Bearer browser"})
        answers = [told, ask(port, "GET", "/about"), ask(port, "GET", "/")]
    assert shown(fake) == f"Bearer {TOKEN}"
    assert not any(TOKEN in text for text in [*lines, *(str(answer) for answer in answers)])
    with command("--oap", fake.url, "--token", "given", SWPROF_COLLECTOR_TOKEN=TOKEN) as (port, _):
        post(port, "/graphql", VERSION)
    assert shown(fake) == "Bearer given"


def test_a_name_and_its_password(fake: FakeOap) -> None:
    environ = {"SWPROF_OAP_PASSWORD": "pä:ss wörd", "SWPROF_COLLECTOR_TOKEN": TOKEN}
    with command("--oap", fake.url, "--user", "müller", **environ) as (port, _):
        post(port, "/graphql", VERSION)
    kind, _, given = shown(fake).partition(" ")
    assert (kind, base64.b64decode(given).decode()) == ("Basic", "müller:pä:ss wörd")


def test_the_other_commands_show_a_name_too(fake: FakeOap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWPROF_OAP_PASSWORD", "secret")
    fake.content = b'{"data": {"getProfileTaskList": [], "getProfileTaskSegments": []}}'
    for words in (("export", "--service", "shop"), ("export", "--task", "x")):
        assert main([words[0], "--oap", fake.url, "--user", "me", *words[1:]]) == 1
        assert base64.b64decode(shown(fake).split()[1]) == b"me:secret"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--user", "me"), "--user: its password is expected in the environment, as SWPROF_OAP_PASSWORD"),
        (("--token", "tökén"), "--token: not printable ASCII"),
        (("--page-token", "two words"), "the token must be printable ASCII without blanks"),
        (("--host", "0.0.0.0"), "0.0.0.0 is not loopback: a token is needed, or anybody could read and start profiles"),
        (("--host", "0.0.0.0", "--token", "x"), "0.0.0.0 is not loopback: a token is needed, or anybody could read"),
        (("--port", "70000"), "cannot listen on 127.0.0.1:70000 for HTTP: "),
        (("--oap", "oap:12800"), "--oap: not an http address: 'oap:12800'"),
        (("--oap", "ftp://oap"), "--oap: not an http address: 'ftp://oap'"),
        (("--oap", "http://me:secret@oap"), "--oap: the address must not have a name or a password in it"),
        (("--oap", "http://oap/?x"), "--oap: not an http address: 'http://oap/?x'"),
        (("--oap", "http://oap/#x"), "--oap: not an http address: 'http://oap/#x'"),
        (("--oap", "http://oap:x"), "--oap: Port could not be cast to integer value"),
        (("--oap", "http://oap/\u2028"), "--oap: not an address that can be asked: "),
    ],
)
def test_options_that_cannot_be(
    options: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SWPROF_OAP_PASSWORD", "SWPROF_COLLECTOR_TOKEN", "SWPROF_PAGE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert main(["ui", *options]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.startswith(f"swprof: {told}")) == ("", True), printed.err
    assert "secret" not in printed.err


def test_a_name_with_a_colon(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWPROF_OAP_PASSWORD", "secret")
    assert main(["ui", "--user", "a:b"]) == 2
    assert capsys.readouterr().err == "swprof: --user: a name has no colon, and prints\n"


def test_the_pages_own_token_is_not_the_oaps(fake: FakeOap) -> None:
    with command("--oap", fake.url, "--host", "0.0.0.0", SWPROF_PAGE_TOKEN=TOKEN) as (port, _):
        assert post(port, "/graphql", VERSION).status == 401
        assert fake.asked == []
        assert post(port, "/graphql", VERSION, {"Authorization": f"Bearer {TOKEN}"}).status == 200
    assert shown(fake) == ""


# Where the OAP may be


@pytest.mark.parametrize("path", ["", "/", "/graphql", "/graphql/", "/base/path", "/base/path/graphql"])
def test_an_oap_below_a_path(fake: FakeOap, path: str) -> None:
    with command("--oap", fake.url + path) as (port, lines):
        assert post(port, "/graphql", VERSION).status == 200
        about = ask(port, "GET", "/about").json
    base = "/base/path" if "base" in path else ""
    assert [asked[1] for asked in fake.asked] == [f"{base}/graphql"]
    assert about["oap"] == fake.url + base
    assert lines == [f"OAP      {fake.url}{base}/graphql\n", f"page     http://127.0.0.1:{port}/\n"]


def test_a_certificate_of_a_private_authority(fake: FakeOap, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    key, certificate = authority.sign("oap")
    with tls(fake.port, key, certificate) as url:
        with command("--oap", url) as (port, _):
            told = post(port, "/graphql", VERSION)
            assert told.status == 502
            assert "CERTIFICATE_VERIFY_FAILED" in told.error
        assert fake.asked == []
        with command("--oap", url, "--token", TOKEN, SSL_CERT_FILE=str(authority.certificate)) as (port, _):
            assert post(port, "/graphql", VERSION).json == {"data": {"version": "9"}}
    assert shown(fake) == f"Bearer {TOKEN}"


@contextlib.contextmanager
def tls(port: int, key: Path, certificate: Path) -> Iterator[str]:
    """``https`` in front of that port."""
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listening.accept()
                with contextlib.suppress(OSError), context.wrap_socket(accepted, server_side=True) as secured:
                    _relay(secured, port)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _relay(secured: Any, port: int) -> None:
    """One request and its answer."""
    request = b""
    while not request.endswith(VERSION.replace(b": ", b":")):
        request += secured.recv(65_536)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.sendall(request)
        while part := plain.recv(65_536):
            secured.sendall(part)


def test_a_proxy_of_the_environment(fake: FakeOap) -> None:
    """Asked for hosts elsewhere; not for this machine's own."""
    environ = {"http_proxy": fake.url, "no_proxy": "", "NO_PROXY": "", "HTTP_PROXY": ""}
    with command("--oap", "http://oap.test:12800/base", "--token", TOKEN, **environ) as (port, _):
        assert post(port, "/graphql", VERSION).status == 200
    [(_, path, headers, _)] = fake.asked
    assert (path, headers["host"]) == ("http://oap.test:12800/base/graphql", "oap.test:12800")
    with fake_oap() as other, command("--oap", other.url, **environ) as (port, _):
        assert post(port, "/graphql", VERSION).status == 200
        assert len(other.asked) == len(fake.asked) == 1


# The command


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_told_to(fake: FakeOap, number: signal.Signals) -> None:
    words = [sys.executable, "-m", "swprof_mw", "ui", "--port", "0", "--oap", fake.url]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().split()[0] for _ in range(2)] == ["OAP", "page"]
        process.send_signal(number)
        printed, errors = process.communicate(timeout=20)
    assert (process.returncode, printed, errors) == (0, "", "")


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["ui", "--port", str(port)]) == 2
    told = f"swprof: cannot listen on 127.0.0.1:{port} for HTTP: Address already in use\n"
    assert capsys.readouterr().err == told


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "swprof_mw.page.server", raising=False)
    assert main(["ui"]) == 2
    assert capsys.readouterr().err == "swprof: uvicorn is not installed; run: pip install 'swprof-mw[collector]'\n"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_it_needs_neither_grpc_nor_graphql(fake: FakeOap) -> None:
    """Nothing of them is imported once it has answered queries and exports, and without them it works as well."""
    code = """
import sys
forbidden = ("grpc", "graphql", "google.protobuf")
sys.modules.update(dict.fromkeys(forbidden))
from tests.pages import ask, post, ui
with ui(sys.argv[1]) as port:
    told = [ask(port, "GET", "/"), ask(port, "GET", "/about"), post(port, "/graphql", {"query": "{version}"})]
    told.append(post(port, "/export", {"format": "speedscope", "task": "x"}))
import swprof_mw.cli.ui
print([one.status for one in told], [name for name in forbidden if sys.modules[name] is not None])
print("swprof_mw.collector" in sys.modules)
"""
    fake.content = b'{"data": {"getProfileTaskSegments": []}}'
    done = subprocess.run([sys.executable, "-c", code, fake.url], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "[200, 200, 200, 404] []\nFalse\n", done.stderr


# The whole of it


def exported(port: int, task: str) -> Told:
    """A task's stacks."""
    return post(port, "/export", {"format": "collapsed", "task": task})


def profile(agent: Agent, client: OapClient) -> str:
    """The id of a task that has profiled a request of 100 ms."""
    agent.request(0, 1)
    task = client.create_task(agent.service, "/e")
    [command] = eventually(agent.commands, "the task is handed out")
    start = int(command["StartTime"])
    segment = agent.request(start, start + 100)
    agent.snapshots(task, segment, [(n, start + n * 10, ["/e", "app.py.view: 1"]) for n in range(11)])
    return task


def test_a_collector_behind_it() -> None:
    with Collector(0, 0, token=TOKEN) as collector, grpc.insecure_channel(collector.backend) as channel:
        metadata = (("authentication", TOKEN),)
        agent = Agent(grpc.intercept_channel(channel, _Shows(metadata)))
        with ui(collector.url, f"Bearer {TOKEN}") as port:
            client = OapClient(f"http://127.0.0.1:{port}")
            task = profile(agent, client)
            told = exported(port, task)
            assert (told.status, told.content) == (200, b"/e;app.py.view: 1 100\n")
            assert client.services() == ["shop"]
        with ui(collector.url) as port:
            assert exported(port, task).status == 502


class _Shows(grpc.UnaryUnaryClientInterceptor, grpc.StreamUnaryClientInterceptor):
    """Adds metadata to each call."""

    def __init__(self, metadata: Any) -> None:
        self._metadata = metadata

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(details._replace(metadata=self._metadata), request)

    def intercept_stream_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(details._replace(metadata=self._metadata), request)


@pytest.mark.oap
def test_a_real_oap_behind_it(oap: OapServer) -> None:
    with grpc.insecure_channel(oap.grpc_address) as channel, ui(oap.url) as port:
        agent, client = Agent(channel, f"ui-{os.getpid()}"), OapClient(f"http://127.0.0.1:{port}")
        now = time.time_ns() // 1_000_000
        agent.request(now - 10, now)
        eventually(lambda: "/e" in client.endpoints(agent.service), "the endpoint is listed")
        task = profile(agent, client)
        eventually(lambda: exported(port, task).content == b"/e;app.py.view: 1 100\n", "it is stored")
        told = post(port, "/graphql", {"query": "{nothing}"})
        assert told.json["errors"]
