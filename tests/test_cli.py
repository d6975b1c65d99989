"""The commands of ``swprof``, the client they use and the text they print."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import io
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import grpc
import pytest

import swprof_mw
from swprof_mw.cli import as_json, connection, report, serving, waiting
from swprof_mw.cli.main import main
from swprof_mw.cli.paint import Paint
from swprof_mw.cli.progress import Progress
from swprof_mw.cli.tree import is_framework, render
from swprof_mw.collector.server import Collector
from swprof_mw.query.client import Element, OapClient, OapError, Request, Span, Task, service_id
from tests.oap.server import OapServer
from tests.test_collector import Agent


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector(0, 0) as started:
        yield started


@pytest.fixture
def agent(collector: Collector) -> Iterator[Agent]:
    with grpc.insecure_channel(collector.backend) as channel:
        yield Agent(channel)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL", 0.02)


@contextlib.contextmanager
def working(
    agent: Agent, requests: int, *, finish: bool = False, after: threading.Event | None = None
) -> Iterator[None]:
    """While inside, an agent that waits for a task, not before ``after``, and then profiles some requests of 100 ms."""
    stopped = threading.Event()

    def work() -> None:
        if after is not None:
            after.wait(20)
        while not (commands := agent.commands()):
            if stopped.wait(0.05):
                return
        task = commands[0]["TaskId"]
        for number in range(requests):
            start = int(commands[0]["StartTime"]) + number * 200
            segment = agent.request(start, start + 100, tags={"http.method": "GET", "http.status_code": "200"})
            stacks = [["/e", "app.py.view: 1"]] * 3 + [["/e", "app.py.view: 1", "app.py.work: 9"]] * 8
            agent.snapshots(task, segment, [(n, start + n * 10, stack) for n, stack in enumerate(stacks)])
        if finish:
            agent.finish(task)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def run_profile(url: str, *options: str, service: str = "shop") -> int:
    """Profile the endpoint ``/e``."""
    return main(["profile", "--service", service, "--endpoint", "/e", "--oap", url, "--settle", "0.1", *options])


# profile


def test_profile(collector: Collector, agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    agent.request(0, 1)
    with working(agent, 2):
        assert run_profile(collector.url, "--samples", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    assert re.fullmatch(r"GET /e 200  100 ms  20\d\d-\d\d-\d\dT[\d:.]+\+00:00  one  trace [0-9a-f]{32}", lines[0])
    assert lines[1:5] == [
        "100.0 %    100 ms                          /e",
        "100.0 %    100 ms  own  30.0 %     30 ms    app.py.view: 1",
        " 70.0 %     70 ms  own  70.0 %     70 ms      app.py.work: 9",
        "",
    ]


def test_profile_ends_when_all_have_finished(
    collector: Collector, agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.request(0, 1)
    with working(agent, 1, finish=True):
        assert run_profile(collector.url) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("GET /e 200")
    assert re.match(r".+; 1\d\d s left\n", shown.err)


def test_profile_as_json(collector: Collector, agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    agent.request(0, 1)
    with working(agent, 2):
        assert run_profile(collector.url, "--json", "--samples", "2", "--period", "20") == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    told = json.loads(printed)
    first, second = told.pop("requests")
    task = told["task"].pop("id")
    assert told == {
        "format": 1,
        "task": {"service": "shop", "endpoint": "/e", "duration": 1, "period": 20, "min_duration": 0, "samples": 2},
    }
    [listed] = OapClient(collector.url).tasks("shop")
    assert listed.id == task
    assert second["start"] == first["start"] + 200
    segments = [one.entry.segment_id for one in OapClient(collector.url).segments(task) if one.entry]
    assert [first["segment"], second["segment"]] == segments
    assert re.fullmatch("[0-9a-f]{32}", first["trace"])
    named = ("id", "parent", "text", "kind", "duration", "own", "snapshots")
    rows = [
        (1, None, "/e", "working", 100, 0, 11),
        (2, 1, "app.py.view: 1", "working", 100, 30, 11),
        (3, 2, "app.py.work: 9", "working", 70, 70, 8),
    ]
    assert first == {
        **{key: first[key] for key in ("trace", "segment", "start")},
        "instance": "one",
        "endpoint": "/e",
        "method": "GET",
        "status": "200",
        "error": False,
        "duration": 100,
        "times": {"working": 100, "waiting": 0, "queued": 0, "unsampled": 0},
        "tip": None,
        "frames": [dict(zip(named, row, strict=True)) for row in rows],
    }


def test_json_of_several_trees_and_kinds() -> None:
    trees = [
        [Element(1, 0, "/e", 30, 0, 4), Element(2, 1, "[waiting]", 20, 20, 3), Element(3, 1, "[queued]", 10, 10, 2)],
        [Element(1, 0, "\x00\ud800", 5, -5, 2), Element(2, 1, "b", 10, 10, 2)],
    ]

    class Some(OapClient):
        def analyze(self, segment: str, start: int, end: int) -> tuple[str | None, list[list[Element]]]:
            return "a tip", trees

    requests = [
        Request("t", "i", (Span(0, -1, "segment", 0, 70, "/e", "Entry", True, True, {}),)),
        Request("t", "i", ()),
    ]
    [told] = as_json.document(Some("http://127.0.0.1"), {}, requests)["requests"]
    assert (told["tip"], told["error"], told["status"]) == ("a tip", True, "")
    assert told["times"] == {"working": 10, "waiting": 20, "queued": 10, "unsampled": 30}
    assert [(one["id"], one["parent"], one["kind"]) for one in told["frames"]] == [
        (1, None, "working"),
        (2, 1, "waiting"),
        (3, 1, "queued"),
        (4, None, "working"),
        (5, 4, "working"),
    ]
    assert json.loads(json.dumps(told)) == told


def test_nothing_profiled_as_json(collector: Collector, agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    agent.request(0, 1)
    assert run_profile(collector.url, "--timeout", "0.05", "--json") == 1
    assert json.loads(capsys.readouterr().out)["requests"] == []


def on_a_terminal(url: str, waits: threading.Event, **environment: str) -> tuple[int, str]:
    """The exit status of ``profile`` in a terminal of 60 columns, and what it wrote there.

    Once that says that it waits for agents, ``waits`` is set.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 60, 0, 0))
    command = [sys.executable, "-m", "swprof_mw", "profile", "--service", "shop", "--endpoint", "/e", "--oap", url]
    environ = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    with subprocess.Popen(
        [*command, "--samples", "1", "--settle", "1"],
        stdout=theirs,
        stderr=theirs,
        env={**environ, "TERM": "xterm", **environment},
    ) as process:
        os.close(theirs)
        written = b""
        with contextlib.suppress(OSError):  # a terminal whose other side is gone
            while some := os.read(ours, 65_536):
                written += some
                if b"waiting for agents" in written:
                    waits.set()
        os.close(ours)
        return process.wait(), written.decode().replace("\r\n", "\n")


COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def test_profile_on_a_terminal(collector: Collector, agent: Agent) -> None:
    agent.request(0, 1)
    waits = threading.Event()
    with working(agent, 1, after=waits):
        status, written = on_a_terminal(collector.url, waits)
    assert status == 0
    *states, shown = written.split("\r")
    assert any(state.startswith("waiting for agents, which ask for tasks every 20 s") for state in states)
    assert any(state.startswith("1 request profiled, 11 snapshots; waiting for the last") for state in states)
    assert all(len(state) < 60 for state in states)
    assert states[-1].strip() == ""
    lines = shown.splitlines()
    assert lines[0].startswith("\x1b[1mGET /e 200")
    assert lines[2].endswith("\x1b[1;33mown  30.0 %     30 ms\x1b[0m    \x1b[1mapp.py.view: 1\x1b[0m")
    assert [COLOUR.sub("", line) for line in lines[1:]] == [
        "100.0 %    100 ms                          /e",
        "100.0 %    100 ms  own  30.0 %     30 ms    app.py.view: 1",
        " 70.0 %     70 ms  own  70.0 %     70 ms      app.py.work: 9",
    ]


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours(collector: Collector, agent: Agent, plain: dict[str, str]) -> None:
    agent.request(0, 1)
    with working(agent, 1):
        status, written = on_a_terminal(collector.url, threading.Event(), **plain)
    assert status == 0
    assert "app.py.work: 9" in written
    assert "\x1b" not in written


def test_nothing_profiled(collector: Collector, agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    agent.request(0, 1)
    assert run_profile(collector.url, "--timeout", "0.05") == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith("no request of /e was profiled\n")


def test_what_comes_late_is_waited_for(
    collector: Collector, agent: Agent, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = iter([(1, 5), (1, 9), (1, 11)])
    last = (1, 11)
    monkeypatch.setattr(report, "size", lambda client, requests: next(sizes, last))
    agent.request(0, 1)
    with working(agent, 1):
        assert run_profile(collector.url, "--samples", "1", "--full") == 0
    assert next(sizes, None) is None
    assert "app.py.work: 9" in capsys.readouterr().out


def failure(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr; nothing was printed."""
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("swprof: ")
    assert shown.err.count("\n") == 1
    return shown.err.removeprefix("swprof: ").rstrip()


def test_a_service_that_is_not_known(collector: Collector, agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_profile(collector.url) == 2
    assert failure(capsys) == "service 'shop' is not known; known: none yet"
    agent.request(0, 1)
    assert run_profile(collector.url, service="shpo") == 2
    assert failure(capsys) == "service 'shpo' is not known; known: shop"


def test_an_endpoint_that_is_not_listed(collector: Collector, agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    agent.request(0, 1, "/b")
    agent.request(0, 1, "/a")
    assert run_profile(collector.url) == 2
    assert failure(capsys) == "endpoint '/e' of 'shop' is not listed; listed: /a, /b"
    assert run_profile(collector.url, "--unlisted", "--timeout", "0") == 1


def test_a_task_that_is_refused(collector: Collector, agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    agent.request(0, 1)
    assert run_profile(collector.url, "--samples", "10") == 2
    assert failure(capsys) == "the task was refused: max sampling count must less than 10"


def test_addresses_that_do_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
    assert run_profile(url) == 2
    told = failure(capsys)
    assert told.startswith(f"cannot reach {url}/graphql: ")
    assert told.endswith("Connection refused")
    assert run_profile("127.0.0.1:12800") == 2
    assert failure(capsys) == "--oap: not an http address: '127.0.0.1:12800'"


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(connection, "client", interrupted)
    assert run_profile("http://127.0.0.1") == 130


@pytest.mark.oap
def test_profile_with_a_real_oap(capsys: pytest.CaptureFixture[str], oap: OapServer) -> None:
    url, service = oap.url, f"cli-{uuid.uuid4().hex[:8]}"
    with grpc.insecure_channel(oap.grpc_address) as channel:
        agent = Agent(channel, service)
        now = time.time_ns() // 1_000_000
        agent.request(now - 10, now)
        latest = time.monotonic() + 30
        while "/e" not in OapClient(url).endpoints(service):
            assert time.monotonic() < latest, "the OAP does not list the endpoint"
            time.sleep(0.1)
        with working(agent, 2):
            assert run_profile(url, "--samples", "2", "--settle", "3", service=service) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:5] == [
        "100.0 %    100 ms                          /e",
        "100.0 %    100 ms  own  30.0 %     30 ms    app.py.view: 1",
        " 70.0 %     70 ms  own  70.0 %     70 ms      app.py.work: 9",
        "",
    ]


# collector


def start_collector(*options: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "swprof_mw", "collector", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_collector(number: signal.Signals) -> None:
    with start_collector("--grpc-port", "0", "--http-port", "0") as process:
        assert process.stdout is not None
        first, second = process.stdout.readline(), process.stdout.readline()
        assert re.fullmatch(r"agents   127\.0\.0\.1:\d+\n", first)
        assert OapClient(second.split()[1]).services() == []
        assert process.stdout.readline() == f"page     {second.split()[1].removesuffix('graphql')}\n"
        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, "", "")


SIGNALLED = """
import signal, sys, threading
from swprof_mw.cli.serving import told_to_stop

for count in range(40):
    left = count

    def at_that_point(frame, event, argument):
        global left
        left -= 1
        if left == 0:
            signal.raise_signal(signal.SIGTERM)

    late = threading.Timer(0.05, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM))
    with told_to_stop() as wait:
        late.start()
        sys.setprofile(at_that_point)
        wait()
        sys.setprofile(None)
        late.join()
"""


def test_a_signal_stops_it_at_whatever_moment_it_comes() -> None:
    """One that comes while the wait begins, between any two of its steps, once blocked for ever."""
    subprocess.run([sys.executable, "-c", SIGNALLED], check=True, timeout=30)


ON_ANOTHER_THREAD = """
import signal, threading
from swprof_mw.cli.serving import told_to_stop

def tell():
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

with told_to_stop() as wait:
    threading.Timer(0.2, tell).start()
    wait()
"""


def test_a_signal_that_another_thread_gets_stops_it_too() -> None:
    """The system may give it to any thread. The handler runs on the main one, which was not woken by that."""
    subprocess.run([sys.executable, "-c", ON_ANOTHER_THREAD], check=True, timeout=10)


def test_collector_on_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start_collector("--grpc-port", "0", "--http-port", str(port)) as process:
            printed, errors = process.communicate(timeout=20)
    assert (process.returncode, printed) == (2, "")
    assert errors == f"swprof: cannot listen on 127.0.0.1:{port} for HTTP: Address already in use\n"


def test_collector_beyond_loopback_wants_a_token() -> None:
    with start_collector("--host", "0.0.0.0", "--grpc-port", "0", "--http-port", "0") as process:
        printed, errors = process.communicate(timeout=20)
    assert (process.returncode, printed) == (2, "")
    needed = "0.0.0.0 is not loopback: a token is needed, or anybody could read and start profiles"
    assert errors == f"swprof: {needed}\n"


def test_the_token_comes_from_the_environment_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWPROF_COLLECTOR_TOKEN", "s3cret")
    with start_collector("--host", "0.0.0.0", "--grpc-port", "0", "--http-port", "0") as process:
        assert process.stdout is not None
        process.stdout.readline()
        url = process.stdout.readline().split()[1].replace("0.0.0.0", "127.0.0.1")
        assert process.stdout.readline() == f"page     {url.removesuffix('graphql')}\n"
        assert run_profile(url) == 2
        assert failure(capsys) == "service 'shop' is not known; known: none yet"
        assert run_profile(url, "--token", "wrong") == 2
        assert failure(capsys) == f"{url}: a token is needed: Authorization: Bearer TOKEN"
        assert run_profile(url, "--token", "wröng") == 2
        assert failure(capsys) == "--token: not printable ASCII"
        process.terminate()
        printed, errors = process.communicate(timeout=10)
    assert (process.returncode, printed, errors) == (0, "", "")


@pytest.mark.parametrize("missing", ["uvicorn", "grpc"])
def test_collector_without_its_extra(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "swprof_mw.collector.server", raising=False)
    monkeypatch.delitem(sys.modules, "swprof_mw.page.server", raising=False)
    assert main(["collector"]) == 2
    assert failure(capsys) == f"{missing} is not installed; run: pip install 'swprof-mw[collector]'"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_what_no_extra_has_is_another_matter() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), serving.with_extra():
        importlib.import_module("no_such_module")


def test_what_profile_imports() -> None:
    """``profile`` runs where neither the extra nor a compiler for grpc is."""
    code = "import sys, swprof_mw.cli.main; print([m for m in ('grpc', 'graphql', 'starlette') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: swprof ")


SCRIPT, MODULE = [str(Path(sys.executable).parent / "swprof")], [sys.executable, "-m", "swprof_mw"]


@pytest.mark.parametrize("command", [SCRIPT, MODULE], ids=["script", "module"])
def test_the_installed_command_and_the_module_are_the_same(command: list[str]) -> None:
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"swprof {swprof_mw.__version__}\n"
    wrong = subprocess.run([*command, "profile", "--oap", "none"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr.startswith("usage: swprof profile ")) == (2, True)


# The client


class Answer(BaseHTTPRequestHandler):
    """Answers every query with ``status`` and ``body``."""

    status, body = 200, b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b"<html>", "does not answer as an OAP does: no JSON"),
        (200, b"[]", "does not answer as an OAP does"),
        (200, b'{"data": null}', "does not answer as an OAP does: no data"),
        (404, b'{"detail": "Not Found"}', "does not answer as an OAP does: no data"),
        (404, b"<html>", "answers 404 Not Found"),
        (400, b'{"errors": [{"message": "no such field"}]}', "no such field"),
    ],
)
def test_answers_that_are_none(status: int, body: bytes, message: str) -> None:
    handler = type("Handler", (Answer,), {"status": status, "body": body})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(OapError, match=message):
            OapClient(f"http://127.0.0.1:{server.server_port}/graphql/").services()
        thread.join()


def test_a_task_refused_without_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    client = OapClient("https://oap.example")
    assert client.url == "https://oap.example/graphql"
    monkeypatch.setattr(OapClient, "query", lambda *_, **__: {"createProfileTask": {"id": None, "errorReason": None}})
    with pytest.raises(OapError, match="no reason was given"):
        client.create_task("shop", "/e")


def test_service_ids() -> None:
    assert service_id("shop") == "c2hvcA==.1"


def span(number: int, kind: str, *, profiled: bool = True) -> Span:
    """A span of 10 ms."""
    return Span(number, -1, "segment", 0, 10, "/e", kind, True, profiled, {})


def test_the_span_that_is_shown() -> None:
    local, entry, other = span(0, "Local"), span(1, "Entry"), span(0, "Entry", profiled=False)
    assert Request("t", "i", (other, local, entry)).entry == entry
    assert Request("t", "i", (other, local)).entry == local
    assert Request("t", "i", (other,)).entry is None


class Nothing(OapClient):
    """Has no snapshots, but a tip."""

    def analyze(self, segment: str, start: int, end: int) -> tuple[str | None, list[list[Element]]]:
        return "a tip", []


def test_a_request_without_snapshots() -> None:
    requests = [Request("t", "i", (span(0, "Entry"),)), Request("t", "i", ())]
    client = Nothing("http://127.0.0.1")
    assert list(report.lines(client, requests)) == [
        "/e  10 ms, error  1970-01-01T00:00:00.000+00:00  i  trace t",
        "a tip",
        "no snapshot of this request was taken",
        "",
    ]
    assert report.size(client, requests) == (2, 0)


# The tree


def elements(*rows: tuple[int, str, int]) -> list[Element]:
    """Elements from their depth, frame and duration, in the order of a walk through the tree."""
    path: list[int] = []
    made: list[tuple[int, int, str, int]] = []
    for number, (depth, signature, duration) in enumerate(rows, start=1):
        del path[depth:]
        made.append((number, path[-1] if path else 0, signature, duration))
        path.append(number)
    own = {number: duration - sum(d for _, above, _, d in made if above == number) for number, _, _, duration in made}
    return [Element(number, above, text, duration, own[number], 1) for number, above, text, duration in made]


SITE = "/usr/lib/python3/site-packages/"
CHAIN = [
    (0, "/e", 100),
    (1, SITE + "flask/app.py.wsgi_app: 1", 100),
    (2, "flask/app.py.full_dispatch_request: 2", 100),
    (3, "threading.py.run: 3", 100),
    (4, "app.py.view: 4", 100),
    (5, "flask/json.py.dumps: 5", 20),
    (5, "app.py.work: 6", 70),
    (5, "app.py.noise: 7", 0),
]


def test_framework_frames_are_folded() -> None:
    assert render(elements(*CHAIN), 100) == [
        "100.0 %    100 ms                          /e",
        "100.0 %    100 ms                            … 3 framework frames",
        "100.0 %    100 ms  own  10.0 %     10 ms      app.py.view: 4",
        " 70.0 %     70 ms  own  70.0 %     70 ms        app.py.work: 6",
        " 20.0 %     20 ms  own  20.0 %     20 ms        flask/json.py.dumps: 5",
    ]


def test_colours() -> None:
    rows = [
        (0, "/e", 100),
        (1, "[waiting]", 40),
        (1, "[queued]", 5),
        (1, "flask/app.py.f: 1", 9),
        (1, "a.py.f\x1b: 1", 8),
    ]
    plain, coloured = (render(elements(*rows), 100, paint=paint) for paint in (Paint(), Paint(True)))
    assert [COLOUR.sub("", line) for line in coloured] == plain
    assert [line.partition("ms  ")[2] for line in coloured] == [
        "\x1b[1;33mown  38.0 %     38 ms\x1b[0m  \x1b[1m/e\x1b[0m",
        "\x1b[1;36mown  40.0 %     40 ms\x1b[0m    \x1b[1;36m[waiting]\x1b[0m",
        "\x1b[33mown   9.0 %      9 ms\x1b[0m    \x1b[2mflask/app.py.f: 1\x1b[0m",
        "\x1b[33mown   8.0 %      8 ms\x1b[0m    a.py.f\\x1b: 1",
        "\x1b[35mown   5.0 %      5 ms\x1b[0m    \x1b[35m[queued]\x1b[0m",
    ]
    assert render(elements(*CHAIN), 100, paint=Paint(True))[1].endswith("\x1b[2m… 3 framework frames\x1b[0m")


def test_every_frame_on_demand() -> None:
    lines = render(elements(*CHAIN), 100, full=True)
    assert len(lines) == len(CHAIN)
    assert lines[2] == "100.0 %    100 ms                              flask/app.py.full_dispatch_request: 2"


def test_a_single_framework_frame_and_one_with_own_time_stay() -> None:
    rows = [(0, "/e", 100), (1, "flask/a.py.f: 1", 100), (2, "app.py.f: 1", 100), (3, "flask/a.py.g: 1", 90)]
    assert [line.split("  ")[-1].strip() for line in render(elements(*rows), 100)] == [text for _, text, _ in rows]


def test_deep_and_timeless_trees() -> None:
    deep = [(depth, f"app.py.f: {depth}", 10) for depth in range(3000)]
    assert len(render(elements(*deep), 10)) == 3000
    assert render(elements((0, "/e", 0)), 0) == ["  0.0 %      0 ms                          /e"]
    assert render([], 100) == []


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        (SITE + "shop/x.py.f: 1", True),
        ("/venv/lib/python3.11/asyncio/runners.py.run: 1", True),
        ("<frozen runpy>._run_code: 88", True),
        ("asyncio/runners.py.run: 1", True),
        ("django/core/handlers/base.py.get_response: 1", True),
        ("sniffio/_impl.py.current_async_library: 82", True),
        ("bottle.py.Bottle.wsgi: 1", True),
        ("falcon/asgi/app.py.App.__call__: 1", True),
        ("pyramid/router.py.Router.invoke_request: 1", True),
        ("webob/request.py.BaseRequest.call_application: 1", True),
        ("shop/views.py.view: 1", False),
        ("/srv/shop/django_shop/views.py.view: 1", False),
        ("/articles/<year>/", False),
        ("[3 frames left out]", False),
    ],
)
def test_framework_frames(signature: str, expected: bool) -> None:
    assert is_framework(signature) is expected


# Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal() -> None:
    stream = Terminal()
    with Progress(stream) as shown:
        shown.show("long text")
        shown.show("short")
    assert stream.getvalue() == "\rlong text\rshort    \r     \r"


def task(*, notified: str = "", finished: str = "") -> Task:
    """One of which these processes, a letter each, have said so."""
    return Task("t", "/e", 0, 1, frozenset(notified), frozenset(finished))


@pytest.mark.parametrize(
    ("at", "listed", "text"),
    [
        (None, 0, "waiting for agents, which ask for tasks every 20 s"),
        (task(), 0, "waiting for agents, which ask for tasks every 20 s"),
        (task(notified="a"), 0, "1 process took the task, no request came yet: visit the endpoint"),
        (task(notified="ab", finished="a"), 1, "sampling: 1 of 5 requests profiled in 2 processes"),
        (task(notified="ab", finished="ab"), 1, "finished: 1 request profiled in 2 processes"),
    ],
)
def test_the_words_of_the_progress(at: Task | None, listed: int, text: str) -> None:
    assert waiting.progress(at, listed, 5) == text


def test_progress_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.0, 1.0, 6.0, 6.0])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    stream = io.StringIO()
    with Progress(stream) as shown:
        for text in "abc":
            shown.show(text)
    assert stream.getvalue() == "a\nc\n"
