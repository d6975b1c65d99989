"""The package as its users meet it: what is in the wheel, its public names, and the official agent beside it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import flask
import pytest

import swprof_mw
from swprof_mw.application import Application
from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.flask import SWProfiler
from swprof_mw.span import EntrySpan
from swprof_mw.statistics import Queue, Stats
from tests import official
from tests.distributions import build, contents, files, unpacked, wheel_in
from tests.environments import python_3_11
from tests.faulty import KEEP_ALIVE, QUERY, SNAPSHOTS, Backend, task_command
from tests.recorded import Recorded
from tests.sampled import work_until_sampled

ROOT = Path(__file__).resolve().parent.parent


# What is in it.


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel and the sdist are, and beside them a wheel that was made out of the sdist."""
    directory = tmp_path_factory.mktemp("built")
    build(ROOT, directory)
    build(unpacked(directory), directory / "again", "wheel")
    return directory


def test_the_wheel_has_the_package_its_data_and_licences_and_nothing_else(built: Path) -> None:
    package = {name for name in files(ROOT / "swprof_mw", ROOT) if not name.endswith(".d.ts")}
    licences = ("LICENSE", "swprof_mw/page/static/vendor/LICENSES.txt")
    about = ["METADATA", "WHEEL", "entry_points.txt", "RECORD", *(f"licenses/{name}" for name in licences)]
    assert {"swprof_mw/py.typed", "swprof_mw/reporter/protocol.binpb", "swprof_mw/page/static/index.html"} <= package
    found = contents(wheel_in(built))
    [metadata] = [text for name, text in found.items() if name.endswith("/METADATA")]
    assert f"Version: {swprof_mw.__version__}\n".encode() in metadata
    [scripts] = [text for name, text in found.items() if name.endswith("/entry_points.txt")]
    assert b"swprof = swprof_mw.cli.main:main" in scripts
    assert found.keys() == package | {f"swprof_mw-{swprof_mw.__version__}.dist-info/{name}" for name in about}


def test_the_sdist_has_what_it_takes_to_test_it_and_nothing_else(built: Path) -> None:
    names = files(unpacked(built), unpacked(built))
    parts = ("swprof_mw", "proto", "tests", "bench", "scripts", "requirements", "examples", "docs", ".github")
    single = ["LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "mkdocs.yml", "noxfile.py"]
    made = [".gitignore", ".importlinter", "PKG-INFO", "pyproject.toml"]
    assert names == {name for part in parts for name in files(ROOT / part, ROOT)}.union(single, made)


def test_a_wheel_made_out_of_the_sdist_is_the_same(built: Path) -> None:
    assert contents(wheel_in(built / "again")) == contents(wheel_in(built))


def test_public_names_are_imported_when_asked_for() -> None:
    code = """
import sys, swprof_mw
loaded = [name for name in sys.modules if name.startswith("swprof_mw.")]
print(loaded, sorted(swprof_mw.__all__))
import swprof_mw.statistics, swprof_mw.endpoint
print(swprof_mw.stats() == swprof_mw.Stats(), swprof_mw.set_endpoint("/") is None)
print([name for name in ("grpc", "google.protobuf", "flask", "django", "starlette") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines() == [
        "[] ['Stats', '__version__', 'set_endpoint', 'stats', 'sw8', 'trace_id']",
        "True True",
        "[]",
    ]


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'statistic_s'"):
        _ = swprof_mw.statistic_s  # type: ignore[attr-defined]


# swprof_mw.stats()


def test_without_an_agent_all_numbers_are_zero() -> None:
    assert swprof_mw.stats() == Stats()
    assert Stats().segments == Queue(0, 0, 0, 0)


def test_the_numbers_follow_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    with Backend() as backend:
        monkeypatch.setenv("SW_AGENT_COLLECTOR_BACKEND_SERVICES", backend.address)
        monkeypatch.setenv("SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL", "0.1")
        application = Application(7001, {"service_name": "shop", "trace_reporter_max_buffer_size": 3})
        backend.fault(hangs=True)
        for _ in range(5):
            _serve(application, "/")
        stats = swprof_mw.stats()
        assert stats.instance.endswith(f"-{os.getpid()}"[-8:])
        assert stats.segments == Queue(queued=3, dropped=2)
        assert stats.tasks == {"shop": None}
        assert stats.last_error == ""
        backend.commands["shop"] = [task_command("/cart", "one", MaxSamplingCount=1)]
        backend.stop()
        backend.wait(lambda: swprof_mw.stats().last_error != "")
        backend.start()
        backend.heal()
        backend.wait(lambda: swprof_mw.stats().segments == Queue(sent=3, dropped=2))
        backend.wait(lambda: swprof_mw.stats().tasks == {"shop": "task-one"})
        _serve(application, "/cart", 4)
        backend.wait(lambda: swprof_mw.stats().finishes == Queue(sent=1))
        stats = swprof_mw.stats()
        assert stats.snapshots == Queue(sent=len(backend.messages(SNAPSHOTS)))
        assert stats.snapshots.sent > 2
        assert (stats.slots_taken, stats.tasks) == (0, {"shop": None})


# swprof_mw.set_endpoint()


def test_the_app_names_a_request_itself_and_no_route_takes_that_away(recorded: Recorded) -> None:
    app = flask.Flask("shop")
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]

    @app.route("/rest/<path:path>")
    def rest(path: str) -> str:
        swprof_mw.set_endpoint("rest/first")
        swprof_mw.set_endpoint("/rest/{id}")
        return "here"

    assert app.test_client().get("/rest/7").text == "here"
    assert recorded.last.operation == "/rest/{id}"


def test_an_asgi_app_of_unknown_kind_names_its_requests(recorded: Recorded) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/plain":
            swprof_mw.set_endpoint("/cart/{name}")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def nothing(*_: object) -> Any:
        return {"type": "http.request"}

    middleware = SWProfilerMiddleware(app, service_name="shop")
    for path in ("/cart/hats", "/plain"):
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": path,
            "headers": [],
            "root_path": "",
            "query_string": b"",
        }
        asyncio.run(middleware(scope, nothing, nothing))
    assert [segment.operation for segment in recorded.segments] == ["/cart/{name}", "/plain"]


def test_a_task_for_the_given_name_samples_the_request_from_there_on(recorded: Recorded) -> None:
    application = Application(7001, {"service_name": "shop"})
    application.attach()
    recorded.profile("/named")
    span = application.begin("GET", "/path")
    assert isinstance(span, EntrySpan)
    span.enter(sys._getframe())
    token = span.activate()
    swprof_mw.set_endpoint("/named")
    work_until_sampled()
    span.deactivate(token)
    span.end(200)
    assert {snapshot.stack[0] for snapshot in recorded.snapshots} == {"/named"}


def test_outside_of_a_request_or_with_nonsense_nothing_happens(recorded: Recorded) -> None:
    swprof_mw.set_endpoint("/nowhere")
    application = Application(7001, {"service_name": "shop"})
    span = application.begin("GET", "/path")
    assert isinstance(span, EntrySpan)
    span.route("/path")
    token = span.activate()
    swprof_mw.set_endpoint(7)  # type: ignore[arg-type]
    other = threading.Thread(target=swprof_mw.set_endpoint, args=("/from/a/thread/without/context",))
    other.start()
    other.join()
    span.end(200)
    swprof_mw.set_endpoint("/too/late")
    span.deactivate(token)
    assert [segment.operation for segment in recorded.segments] == ["/path"]


# Beside the official agent, which runs on Python up to 3.11.

if python_3_11() or os.environ.get("CI"):

    @pytest.mark.parametrize("order", [("ours", "official"), ("official", "ours")], ids="-then-".join)
    def test_both_agents_serve_and_profile_in_one_process(order: tuple[str, str]) -> None:
        with Backend() as backend:
            backend.commands = {name: [task_command("/cart", name)] for name in order}
            settings = {
                "SW_AGENT_COLLECTOR_BACKEND_SERVICES": backend.address,
                "SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL": "1",
                "PYTHONPATH": str(ROOT),
            }
            script = subprocess.Popen(
                [official.interpreter(), "-m", "tests.official.both", *order],
                cwd=ROOT,
                env={**os.environ, **settings},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            try:
                backend.wait(lambda: _profiled(backend) == set(order) or script.poll() is not None, timeout=40)
            finally:
                output, _ = script.communicate(input="", timeout=20)
        assert "ended well" in output, output
        assert _profiled(backend) == set(order)
        for method in (QUERY, KEEP_ALIVE):
            assert {message.service for message in backend.messages(method)} == set(order)
        assert {segment.service for segment in backend.segments()} == {"ours"}
        assert {message.service for message in backend.messages("collect")} == {"official"}


def _profiled(backend: Backend) -> set[str]:
    """The services whose task has snapshots."""
    return {snapshot.taskId.removeprefix("task-") for snapshot in backend.messages(SNAPSHOTS)}


def _serve(application: Application, path: str, snapshots: int = 0) -> None:
    span = application.begin("GET", path)
    assert span is not None
    span.enter(sys._getframe())
    span.route(path)
    if snapshots:
        work_until_sampled(snapshots)
    span.end(200)
