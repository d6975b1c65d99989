"""The package as strangers have it: the wheel that the sdist makes, in environments that have only what it asks for.

Everything runs in an empty directory, so that nothing comes from the source tree.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

import swprof_mw
import swprof_mw.asgi
import swprof_mw.django
import swprof_mw.flask
from swprof_mw.query.client import OapClient
from tests.distributions import build, sdist_in, unpacked, wheel_in
from tests.environments import environment
from tests.load import get
from tests.oap.server import Child, free_ports
from tests.tools.installed import pyright
from tests.waiting import eventually
from tests.ways import OPTIONAL, WAYS

# A reader has five minutes; their environment is made in that time, too.
pytestmark = [pytest.mark.installed, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parent.parent
CONSUMER = ROOT / "tests" / "consumer"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sdist is, and the wheel that was made out of it."""
    directory = tmp_path_factory.mktemp("built")
    build(ROOT, directory, "sdist")
    build(unpacked(directory), directory, "wheel")
    return directory


@pytest.fixture(scope="module")
def collector(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, OapClient]]:
    """The embedded collector, installed with its extra: where agents report to, and how to ask it."""
    directory = tmp_path_factory.mktemp("collector")
    python = install(directory / "environment", f"{wheel_in(built)}[collector]")
    grpc_port, http_port = free_ports(0, 0)
    command = [swprof(python), "collector", f"--grpc-port={grpc_port}", f"--http-port={http_port}"]
    with running(command, directory) as child:
        eventually(lambda: "page" in child.output() or not child.alive(), "the collector says where its page is")
        assert child.alive(), child.output()
        yield f"127.0.0.1:{grpc_port}", OapClient(f"http://127.0.0.1:{http_port}")


def install(directory: Path, *requirements: str) -> Path:
    """The interpreter of a new environment that has these."""
    uv = environment("uv", sys.executable, "uv")
    python = directory / "bin" / "python"
    succeed(directory.parent, uv, "-m", "uv", "venv", "--quiet", "--python", sys.executable, directory)
    succeed(directory.parent, uv, "-m", "uv", "pip", "install", "--quiet", "--python", python, *requirements)
    return python


def swprof(python: Path) -> str:
    """The command that is installed there."""
    return str(python.with_name("swprof"))


def clean(**variables: str) -> dict[str, str]:
    """This process's environment, without what leads to the source tree or is a setting of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SW"))} | variables


def run(directory: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it in that directory."""
    return subprocess.run(command, cwd=directory, env=clean(), capture_output=True, text=True, check=False, timeout=200)


def succeed(directory: Path, *command: str | Path) -> str:
    """What it prints."""
    done = run(directory, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def running(command: list[str], directory: Path, **variables: str) -> Iterator[Child]:
    """A process in that directory, ended afterwards."""
    child = Child(command, clean(**variables), directory)
    try:
        yield child
    finally:
        child.stop()


@contextlib.contextmanager
def visited(url: str) -> Iterator[None]:
    """Somebody asks for it all the time."""
    enough = threading.Event()

    def visit() -> None:
        while not enough.wait(0.1):
            with contextlib.suppress(OSError, HTTPException):  # it may not listen yet
                get(url)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        yield
    finally:
        enough.set()
        visitor.join()


# What is uploaded.


def test_an_index_takes_them(built: Path) -> None:
    python = environment("twine", sys.executable, "twine")
    told = succeed(built, python, "-m", "twine", "check", "--strict", wheel_in(built), sdist_in(built))
    assert told.count("PASSED") == 2


# What the README says, with no more than it says.


@pytest.mark.parametrize("name", WAYS)
def test_the_lines_of_the_readme_lead_to_a_profile(
    name: str, built: Path, collector: tuple[str, OapClient], tmp_path: Path
) -> None:
    way, (backend, client) = WAYS[name], collector
    extra = f"[{way.extra}]" if way.extra else ""
    python = install(tmp_path / "environment", f"{wheel_in(built)}{extra}", *way.more)
    assert present(python, tmp_path) == {*way.has, "google.protobuf"}
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shop.py").write_text(way.module())
    [port] = free_ports(0)
    command = [str(python), "-m", *way.command.format(port=port).split()]
    # By the way: services of this name are told apart, and nobody waits for tasks for long.
    settings = {"SW_AGENT_NAMESPACE": name, "SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL": "0.5"}
    reporting = {"SW_AGENT_COLLECTOR_BACKEND_SERVICES": backend, **settings}
    service = f"shop|{name}"
    options = ("--service", service, "--endpoint", way.endpoint, "--oap", client.url, "--samples", "2")
    with running(command, tmp_path / "shop", **reporting) as shop, visited(f"http://127.0.0.1:{port}/orders/7"):
        listed = f"{way.endpoint} is listed"
        eventually(lambda: way.endpoint in client.endpoints(service) or not shop.alive(), listed)
        assert shop.alive(), shop.output()
        profile = run(tmp_path, swprof(python), "profile", *options)
    assert profile.returncode == 0, profile.stderr
    assert f"GET {way.endpoint} 200" in profile.stdout
    assert re.search(r"own .*shop\.py\.work: ", profile.stdout), profile.stdout


def present(python: Path, directory: Path) -> set[str]:
    """What there is of `OPTIONAL`; of ours there is what was installed, and not the source tree."""
    code = f"""
import importlib, json, swprof_mw
def can(name):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return False
    return True
print(json.dumps([swprof_mw.__file__, [name for name in {OPTIONAL!r} if can(name)]]))
"""
    file, names = json.loads(run(directory, python, "-c", code).stdout)
    assert Path(file).is_relative_to(python.parent.parent)
    return set(names)


def test_without_any_extra_one_line_says_what_to_install(built: Path, tmp_path: Path) -> None:
    succeed(tmp_path, sys.executable, "-m", "venv", "environment")
    python = tmp_path / "environment" / "bin" / "python"
    succeed(tmp_path, python, "-m", "pip", "install", "--quiet", wheel_in(built))
    assert present(python, tmp_path) == {"google.protobuf"}
    for command in ("collector", "ui"):
        done = run(tmp_path, swprof(python), command)
        assert (done.returncode, done.stdout) == (2, "")
        told = r"swprof: \w+ is not installed; run: pip install 'swprof-mw\[collector\]'\n"
        assert re.fullmatch(told, done.stderr), done.stderr
    for name, missing in (("flask", "flask"), ("django", "asgiref|django")):
        done = run(tmp_path, python, "-c", f"import swprof_mw.{name}")
        assert re.search(rf"ModuleNotFoundError: No module named '({missing})'\n$", done.stderr), done.stderr
    succeed(tmp_path, python, "-c", "import swprof_mw.asgi, swprof_mw.wsgi")


# Who writes against it.


@pytest.fixture(scope="module")
def consumer(built: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The interpreter of a project that has the package and type checkers, and where its sources are."""
    directory = tmp_path_factory.mktemp("consumer")
    shutil.copytree(CONSUMER, directory / "sources")
    others = ("fastapi", "falcon", "litestar", "quart", "mypy")
    python = install(directory / "environment", f"{wheel_in(built)}[flask,asgi]", *others)
    return python, directory / "sources"


def wrong_lines() -> dict[int, str]:
    """The errors that the consumer's project names, by their lines."""
    lines = (CONSUMER / "wrong.py").read_text().splitlines()
    return {number: line.rpartition("  # [")[2][:-1] for number, line in enumerate(lines, 1) if "  # [" in line}


def test_the_consumer_s_project_uses_every_public_name() -> None:
    used = set(re.findall(r"\w+", (CONSUMER / "shop.py").read_text()))
    assert {*swprof_mw.__all__, *swprof_mw.flask.__all__, *swprof_mw.asgi.__all__, *swprof_mw.django.__all__} <= used
    assert swprof_mw.config.SETTINGS.keys() <= used


def test_mypy_sees_the_types(consumer: tuple[Path, Path]) -> None:
    python, sources = consumer
    succeed(sources, python, "-m", "mypy", "--strict", "shop.py")
    wrong = run(sources, python, "-m", "mypy", "--strict", "wrong.py").stdout
    found = re.findall(r"^wrong\.py:(\d+): error: .*\[([\w-]+)\]$", wrong, re.MULTILINE)
    assert {int(line): code for line, code in found} == wrong_lines(), wrong


def test_pyright_sees_them_too(consumer: tuple[Path, Path]) -> None:
    python, sources = consumer
    (sources / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    command = ("node", pyright(), "--outputjson", "--pythonpath", python)
    assert json.loads(succeed(sources, *command, "shop.py"))["generalDiagnostics"] == []
    wrong = json.loads(run(sources, *command, "wrong.py").stdout)
    assert {one["range"]["start"]["line"] + 1 for one in wrong["generalDiagnostics"]} == wrong_lines().keys()
