"""The server of the page: what it hands out and to whom, for the collector and, where both do the same, for ``ui``."""

from __future__ import annotations

import gzip
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

import swprof_mw
from swprof_mw.collector.graphql import Api
from swprof_mw.collector.server import Collector
from swprof_mw.export.formats import FORMATS
from swprof_mw.export.profile import Profile
from swprof_mw.page import exports, files, questions
from swprof_mw.page.server import reachable
from swprof_mw.query.client import OapClient, service_id
from tests.pages import JSON, VERSION, ask, fake_oap, post, ui
from tests.test_collector import Agent
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "right-t0ken"
VISIT = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector(0, 0) as started:
        yield started


@pytest.fixture(scope="module", params=["collector", "ui"])
def port(request: pytest.FixtureRequest, collector: Collector) -> Iterator[int]:
    """Of the page: the collector's own, and one over an OAP."""
    if request.param == "collector":
        yield collector.http_port
        return
    with fake_oap() as oap, ui(oap.url) as number:
        yield number


@pytest.fixture(scope="module", params=["collector", "ui"])
def locked(request: pytest.FixtureRequest) -> Iterator[int]:
    """The same with a token, on all addresses."""
    if request.param == "collector":
        with Collector(0, 0, "0.0.0.0", token=TOKEN) as started:
            yield started.http_port
        return
    with fake_oap() as oap, ui(oap.url, host="0.0.0.0", token=TOKEN) as number:
        yield number


@pytest.fixture(scope="module")
def profiled(collector: Collector) -> tuple[str, str, int]:
    """A task's id, the segment that it has profiled, and when it began: 100 ms, in 11 snapshots."""
    with grpc.insecure_channel(collector.backend) as channel:
        agent = Agent(channel)
        agent.request(0, 1, "/cart/<name>")
        task = OapClient(collector.url).create_task("shop", "/cart/<name>")
        start = int(agent.commands()[0]["StartTime"])
        segment = agent.request(start, start + 100, "/cart/<name>")
        rows = [["/cart/<name>", "app.py.view: 1"]] * 3 + [["/cart/<name>", "app.py.view: 1", "app.py.work: 9"]] * 8
        agent.snapshots(task, segment, [(n, start + n * 10, stack) for n, stack in enumerate(rows)])
    return task, segment, start


# Static files


def test_the_page(port: int) -> None:
    told = ask(port, "GET", "/")
    assert (told.status, told.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert told.content == (files.STATIC / "index.html").read_bytes()
    assert told.headers["cache-control"] == "no-cache"


def test_each_file_is_served_by_its_name(port: int) -> None:
    for path, file in files.load().items():
        told = ask(port, "GET", path)
        assert (told.status, told.content) == (200, file.content), path
        assert told.headers["content-type"] == files.TYPES[Path(path).suffix or ".html"]


def test_whatever_the_page_names_is_there() -> None:
    static = files.load()
    named = re.findall(r"""(?:src|href)="([^"#]+)\"""", static["/"].content.decode())
    assert all("/" + name.removeprefix("/") in static for name in named if not name.startswith("data:")), named


def test_a_browser_that_has_a_file_is_not_sent_it_again(port: int) -> None:
    etag = ask(port, "GET", "/").headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        told = ask(port, "GET", "/", {"If-None-Match": known})
        assert (told.status, told.content, told.headers["etag"]) == (304, b"", etag)
    assert ask(port, "GET", "/", {"If-None-Match": '"other"'}).status == 200


def test_methods(port: int) -> None:
    head = ask(port, "HEAD", "/")
    assert (head.status, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(ask(port, "GET", "/").content))
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
        assert ask(port, method, "/").status == 405
    for path in ("/graphql", "/export"):
        for method in ("GET", "HEAD", "PUT", "OPTIONS", "DELETE"):
            told = ask(port, method, path)
            assert (told.status, told.headers["allow"]) == (405, "POST")
    assert ask(port, "GET", "/graphql?query={version}").status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/nowhere",
        "/static/index.html",
        "/../app.py",
        "/../static/index.html",
        "/./app.js/../../guard.py",
        "/%2e%2e/app.py",
        "/%2e%2e%2fapp.py",
        "/..%5capp.py",
        "/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "///etc/passwd",
        "/etc/passwd",
        "/%00",
        "/index.html%00.js",
        "/.gitignore",
        "/~root",
        "/C:/Windows/win.ini",
    ],
)
def test_no_other_file_is_served(port: int, path: str) -> None:
    told = ask(port, "GET", path)
    assert (told.status, told.error) == (404, "Not Found")


def test_links_and_hidden_files_are_not_served(tmp_path: Path) -> None:
    static, outside = tmp_path / "static", tmp_path / "outside"
    (static / "vendor").mkdir(parents=True)
    outside.mkdir()
    for name in ("index.html", "app.js", "vendor/lib.min.js", ".hidden.js", "a b.js", "key.pem", "vendor/.x.js"):
        (static / name).write_text(name)
    (outside / "secret.txt").write_text("secret")
    (static / "link.txt").symlink_to(outside / "secret.txt")
    (static / "up.js").symlink_to(static / "app.js")
    (static / "folder").symlink_to(outside)
    (static / "loop").symlink_to(static)
    (static / "gone.js").symlink_to(static / "nothing.js")
    (static / "directory.js").mkdir()
    assert list(files.load(static)) == ["/app.js", "/", "/vendor/lib.min.js"]


def test_an_installer_may_link_each_file(tmp_path: Path) -> None:
    cache, static = tmp_path / "cache", tmp_path / "static"
    for directory in (cache, static):
        (directory / "vendor").mkdir(parents=True)
    for name in ("index.html", "vendor/lib.js"):
        (cache / name).write_text(name)
        (static / name).symlink_to(cache / name)
    assert list(files.load(static)) == ["/", "/vendor/lib.js"]


def test_a_file_that_becomes_a_link_later_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("page")
    loaded = files.load(tmp_path)
    (tmp_path / "index.html").unlink()
    (tmp_path / "index.html").symlink_to("/etc/passwd")
    assert loaded["/"].content == b"page"


# What every answer says


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", "/about", {}, 200),
        ("GET", "/nowhere", {}, 404),
        ("GET", "/graphql", {}, 405),
        ("POST", "/graphql", {}, 415),
        ("GET", "/", {"Host": "evil.test"}, 403),
        ("GET", "/about", {"Origin": "http://evil.test"}, 403),
    ],
)
def test_browsers_are_told_to_be_strict(
    port: int, method: str, path: str, headers: Mapping[str, str], status: int
) -> None:
    told = ask(port, method, path, headers)
    assert told.status == status
    policy = dict(part.split(" ", 1) for part in told.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert told.headers["x-content-type-options"] == "nosniff"
    assert told.headers["referrer-policy"] == "no-referrer"
    assert told.headers["cross-origin-resource-policy"] == "same-origin"
    assert told.headers["cache-control"] == ("no-cache" if (path, status) == ("/", 200) else "no-store")
    assert not [name for name in told.headers if name.startswith("access-control")]


def test_a_fault_of_ours_shows_nothing_and_is_strict_too(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(exports, "wanted", broken)
    told = post(port, "/export", {})
    assert (told.status, told.error) == (500, "internal error")
    assert "content-security-policy" in told.headers


# Who may ask


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]"}, 200),
        ({"Host": "evil.test"}, 403),
        ({"Host": "127.0.0.1.evil.test"}, 403),
        ({"Host": "evil.test", **VISIT}, 403),
        ({"Host": "evil.test", "Origin": "http://evil.test", "Sec-Fetch-Site": "same-origin"}, 403),
        (VISIT, 200),
        ({**VISIT, "Sec-Fetch-Site": "same-site"}, 200),
        ({**VISIT, "Sec-Fetch-Dest": "iframe"}, 403),
        ({**VISIT, "Sec-Fetch-Dest": "object"}, 403),
        ({**VISIT, "Sec-Fetch-Mode": "no-cors"}, 403),
        ({**VISIT, "Sec-Fetch-Mode": "cors"}, 403),
        ({**VISIT, "Origin": "http://evil.test"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_a_link_may_lead_to_the_page_and_nothing_else_across_sites(
    port: int, headers: dict[str, str], status: int
) -> None:
    assert ask(port, "GET", "/", headers).status == status
    for path, asked in (("/graphql", VERSION), ("/export", b"{}")):
        if headers.keys() & {"Sec-Fetch-Site", "Origin"} or status == 403:
            assert post(port, path, asked, headers).status == 403
    if headers.keys() & {"Sec-Fetch-Site", "Origin"}:
        assert ask(port, "GET", "/about", headers).status == 403


@pytest.mark.parametrize("path", ["/graphql", "/export"])
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; +json"]
)
def test_what_a_form_can_send_is_not_read(port: int, path: str, kind: str) -> None:
    assert (
        post(port, path, {"query": "{version}", "format": "collapsed", "task": "x"}, {"Content-Type": kind}).status
        == 415
    )


@pytest.mark.parametrize("path", ["/graphql", "/export"])
def test_bodies_have_bounds(port: int, path: str) -> None:
    assert post(port, path, b'{"query": "' + b"x" * questions.LONGEST_BODY + b'"}').status == 413
    assert post(port, path, b'{"a": ' + b"[" * 30 + b"]" * 30 + b"}").status == 400
    assert post(port, path, b"[]").error == "the request is not a JSON object"
    assert post(port, path, b"\xff").status == 400


def test_the_files_need_no_token_and_everything_else_does(locked: int) -> None:
    for path in files.load():
        assert ask(locked, "GET", path).status == 200
        assert ask(locked, "GET", path, {**VISIT, "Host": "profiles.test"}).status == 200
        assert ask(locked, "HEAD", path).status == 200
        assert ask(locked, "POST", path).status == 401
    for path in ("/about", "/nowhere", "/graphql"):
        told = ask(locked, "GET", path)
        assert (told.status, told.headers["www-authenticate"]) == (401, "Bearer")
    for path, asked in (("/graphql", VERSION), ("/export", b"{}")):
        assert post(locked, path, asked).status == 401
        assert post(locked, path, asked, {"Authorization": f"Bearer {TOKEN}x"}).status == 401
        assert post(locked, path, asked, {"Cookie": f"token={TOKEN}"}).status == 401
        assert post(locked, f"{path}?token={TOKEN}", asked).status == 401
    shown = {"Authorization": f"Bearer {TOKEN}"}
    assert post(locked, "/graphql", VERSION, shown).status == 200
    assert post(locked, "/export", b"{}", shown).status == 400
    assert ask(locked, "GET", "/about", shown).status == 200


# Where things are


def test_about_the_collector(collector: Collector) -> None:
    told = ask(collector.http_port, "GET", "/about").json
    assert told == {"version": swprof_mw.__version__, "backend": f"127.0.0.1:{collector.grpc_port}", "oap": None}


def test_on_all_addresses_agents_are_told_the_one_that_led_here() -> None:
    with Collector(0, 0, "0.0.0.0", token=TOKEN) as started:
        for host, expected in (("box.test:1", "box.test"), ("[2001:db8::1]:5", "[2001:db8::1]"), ("[", "127.0.0.1")):
            headers = {"Authorization": f"Bearer {TOKEN}", "Host": host}
            told = ask(started.http_port, "GET", "/about", headers).json
            assert told["backend"] == f"{expected}:{started.grpc_port}"
        assert started.page == f"http://127.0.0.1:{started.http_port}/"


def test_what_can_be_reached() -> None:
    assert [reachable(host) for host in ("0.0.0.0", "::", "::1", "box.test")] == ["127.0.0.1", "::1", "::1", "box.test"]


# Exports


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_of_a_task(collector: Collector, profiled: tuple[str, str, int], kind: str) -> None:
    told = post(collector.http_port, "/export", {"format": kind, "task": profiled[0]})
    suffix, content_type = exports.KINDS[kind]
    assert (told.status, told.headers["content-type"]) == (200, content_type)
    name = r'attachment; filename="profile-cart-name-\d{8}T\d{6}Z' + re.escape(suffix) + '"'
    assert re.fullmatch(name, told.headers["content-disposition"])
    assert told.headers["x-content-type-options"] == "nosniff"
    assert told.content


def test_an_export_of_a_task_is_what_the_command_writes(collector: Collector, profiled: tuple[str, str, int]) -> None:
    told = post(collector.http_port, "/export", {"format": "collapsed", "task": profiled[0]})
    assert told.content == b"/cart/<name>;app.py.view: 1 30\n/cart/<name>;app.py.view: 1;app.py.work: 9 70\n"
    pprof = post(collector.http_port, "/export", {"format": "pprof", "task": profiled[0]}).content
    assert b"app.py" in gzip.decompress(pprof)


def test_an_export_of_parts(collector: Collector, profiled: tuple[str, str, int]) -> None:
    _, segment, start = profiled
    parts = [
        {"segmentId": segment, "start": start, "end": start + 50, "name": "first\n\u202ehalf"},
        {"segmentId": segment, "start": start, "end": start + 100},
        {"segmentId": "not there", "start": 0, "end": 1, "name": "none"},
    ]
    told = post(collector.http_port, "/export", {"format": "speedscope", "segments": parts})
    first, whole = told.json["profiles"]
    assert (first["name"], first["endValue"]) == ("first\\n\\u202ehalf", 50)
    assert (whole["name"], whole["endValue"]) == (f"segment {segment}", 100)
    assert re.search(r'="profile-\d{8}T\d{6}Z\.speedscope\.json"', told.headers["content-disposition"])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "format must be one of"),
        ({"format": "exe", "task": "x"}, "format must be one of"),
        ({"format": ["pprof"], "task": "x"}, "format must be one of"),
        ({"format": "pprof"}, "either task"),
        ({"format": "pprof", "task": ""}, "either task"),
        ({"format": "pprof", "task": 7}, "either task"),
        ({"format": "pprof", "task": "x", "segments": []}, "either task"),
        ({"format": "pprof", "segments": []}, "either task"),
        ({"format": "pprof", "segments": {}}, "either task"),
        ({"format": "pprof", "segments": [{"segmentId": "x", "start": 0, "end": 1}] * 101}, "list of 1 to 100"),
        ({"format": "pprof", "segments": ["x"]}, "segmentId"),
        ({"format": "pprof", "segments": [{"segmentId": 1, "start": 0, "end": 1}]}, "segmentId"),
        ({"format": "pprof", "segments": [{"segmentId": "x", "start": 0, "end": 1, "name": 7}]}, "a name"),
        ({"format": "pprof", "segments": [{"segmentId": "x", "start": 2, "end": 1}]}, "start and end"),
        ({"format": "pprof", "segments": [{"segmentId": "x", "start": -1, "end": 1}]}, "start and end"),
        ({"format": "pprof", "segments": [{"segmentId": "x", "start": 0, "end": 10**14}]}, "start and end"),
        ({"format": "pprof", "segments": [{"segmentId": "x", "start": True, "end": 1}]}, "start and end"),
        ({"format": "pprof", "segments": [{"segmentId": "x", "start": 0, "end": 1.5}]}, "start and end"),
    ],
)
def test_what_cannot_be_exported(port: int, asked: Any, message: str) -> None:
    told = post(port, "/export", asked)
    assert told.status == 400
    assert message in told.error


def test_an_export_of_nothing(collector: Collector) -> None:
    for asked in ({"task": "not there"}, {"segments": [{"segmentId": "not there", "start": 0, "end": 1}]}):
        told = post(collector.http_port, "/export", {"format": "collapsed", **asked})
        assert (told.status, told.error) == (404, "no snapshot of what was asked for is stored")


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("/users/<int:uid>", "profile-users-int-uid-20200913T122640Z"),
        ('/"\r\nSet-Cookie: a=b', "profile-Set-Cookie-a-b-20200913T122640Z"),
        ("/../../etc/passwd", "profile-etc-passwd-20200913T122640Z"),
        ("\u202egnp.exe\0", "profile-gnp-exe-20200913T122640Z"),
        ("日本\ud800", "profile-20200913T122640Z"),
        ("x" * 10_000, f"profile-{'x' * 60}-20200913T122640Z"),
        ("", "profile-20200913T122640Z"),
    ],
)
def test_the_name_of_a_file_is_harmless(endpoint: str, expected: str) -> None:
    found = [Profile("", start, 10, (), (("endpoint", endpoint),)) for start in (1_600_000_000_000, 1_700_000_000_000)]
    assert exports.stem(found) == expected


def test_a_hostile_endpoint_stays_out_of_the_headers(collector: Collector) -> None:
    name = '/e"\r\nX-Evil: 1'
    with grpc.insecure_channel(collector.backend) as channel:
        agent = Agent(channel, "hostile")
        agent.request(0, 1, name)
        task = OapClient(collector.url).create_task("hostile", name)
        start = int(agent.commands()[0]["StartTime"])
        segment = agent.request(start, start + 100, name)
        agent.snapshots(task, segment, [(n, start + n * 10, ["</script><img onerror=x>\0"]) for n in range(11)])
    for kind in FORMATS:
        told = post(collector.http_port, "/export", {"format": kind, "task": task})
        assert told.status == 200
        assert "x-evil" not in told.headers
        assert re.fullmatch(r'attachment; filename="[A-Za-z0-9.-]+"', told.headers["content-disposition"])


def test_other_sites_create_no_task_and_export_nothing(collector: Collector, profiled: tuple[str, str, int]) -> None:
    before = len(OapClient(collector.url).tasks("shop"))
    request = f"""{{serviceId: "{service_id("shop")}", endpointName: "/e", duration: 1,
        minDurationThreshold: 0, dumpPeriod: 10, maxSamplingCount: 1}}"""
    create = {"query": f"mutation{{createProfileTask(creationRequest: {request}){{id}}}}"}
    export = {"format": "collapsed", "task": profiled[0]}
    for headers in (VISIT, {"Host": "evil.test"}, {"Origin": "http://evil.test"}, {"Content-Type": "text/plain"}):
        assert post(collector.http_port, "/graphql", create, headers).status in (403, 415)
        assert b"app.py" not in post(collector.http_port, "/export", export, headers).content
    assert len(OapClient(collector.url).tasks("shop")) == before


def test_answers_are_ascii_json_whatever_is_in_them(collector: Collector) -> None:
    told = post(collector.http_port, "/graphql", b'{"query": "{version(a: \\"\\ud800\\")}"}')
    assert (told.status, told.headers["content-type"]) == (400, JSON)
    assert told.content.isascii()


def test_a_fault_of_a_query_is_no_export(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api, "answer", lambda *_: {"errors": [{"message": "internal error"}], "data": None})
    told = post(collector.http_port, "/export", {"format": "collapsed", "task": "x"})
    assert (told.status, told.error) == (502, "the collector: internal error")


# What is printed, and --open


@pytest.fixture
def browser(tmp_path: Path) -> tuple[str, Path]:
    """A browser for ``BROWSER``, and the file in which it keeps the address that it was opened with."""
    program, opened = tmp_path / "browser", tmp_path / "opened"
    program.write_text(f'#!/bin/sh\necho "$@" > {opened}.new && mv {opened}.new {opened}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program), opened


COMMANDS = {
    "collector": ("collector", "--grpc-port", "0", "--http-port", "0"),
    "ui": ("ui", "--port", "0", "--oap", "http://127.0.0.1:9"),
}
TOKENS = {"SWPROF_COLLECTOR_TOKEN": "c/t+k#n", "SWPROF_PAGE_TOKEN": "c/t+k#n"}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("token", [False, True], ids=["open", "token"])
def test_open(command: str, token: bool, browser: tuple[str, Path]) -> None:
    env = {**os.environ, "BROWSER": browser[0], **(TOKENS if token else {})}
    words = [sys.executable, "-m", "swprof_mw", *COMMANDS[command], "--open"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        try:
            page = next(line.split()[1] for line in process.stdout if line.startswith("page"))
            eventually(browser[1].exists, "the browser is opened", interval=0.02)
            assert browser[1].read_text() == f"{page}\n"
            assert b"<html" in ask(int(page.rstrip("/").rpartition(":")[2]), "GET", "/").content
        finally:
            process.terminate()
            printed, errors = process.communicate(timeout=20)
    assert (process.returncode, printed, errors) == (0, "", "")


def test_without_a_browser_the_page_is_served_all_the_same(tmp_path: Path) -> None:
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path), "BROWSER": str(tmp_path / "none")}
    words = [sys.executable, "-m", "swprof_mw", *COMMANDS["ui"], "--open"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            page = next(line.split()[1] for line in process.stdout if line.startswith("page"))
            assert process.stderr.readline() == f"no browser could be opened for {page}\n"
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_is_shown_an_address_that_opens(command: str) -> None:
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "swprof_mw", *COMMANDS[command]]
    process = subprocess.Popen(words, stdout=theirs, stderr=theirs, env={**os.environ, **TOKENS})
    os.close(theirs)
    try:
        with open(ours, encoding="utf-8", errors="replace", newline="") as terminal:
            page = next(line.split()[1] for line in terminal if line.startswith("page"))
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#token=c%2Ft%2Bk%23n", page)
            process.terminate()
            assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
