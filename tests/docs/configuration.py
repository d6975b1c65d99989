"""Files of configuration that pages show: read by a parser, and held against what reads them."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.docs import compose
from tests.docs.commands import taken_apart
from tests.docs.programs import PROGRAMS, check, check_variable
from tests.snippets import Snippet

#: What the images read, by the service; the app's are settings.
IMAGES = {
    "oap": {"SW_STORAGE", "SW_STORAGE_BANYANDB_TARGETS"},
    "ui": {"SW_OAP_ADDRESS"},
    "banyandb": set[str](),
}


def check_ini(snippet: Snippet) -> None:
    """uWSGI's, which is run elsewhere, or a unit of systemd."""
    if snippet.file.endswith(".service"):
        _check_unit(snippet.code)
    else:
        assert snippet.file == "uwsgi.ini", "a file that nobody runs"
        parsed = configparser.ConfigParser()
        parsed.read_string(snippet.code)
        assert parsed.sections() == ["uwsgi"]


def _check_unit(code: str) -> None:
    """Its settings are ours, and what it starts is a server that takes those arguments."""
    unit = configparser.RawConfigParser(strict=False)
    unit.read_string(code)
    assert unit.sections() == ["Unit", "Service", "Install"]
    for name, value in re.findall(r"^Environment=(\w+)=(.*)$", code, re.MULTILINE):
        check_variable(name, value)
    [command] = taken_apart(unit["Service"]["ExecStart"])
    check(command._replace(program=Path(command.program).name))


def check_dockerfile(snippet: Snippet) -> None:
    """It is the example's, and each of its commands is one of those that are checked elsewhere."""
    assert snippet.code == compose.DOCKERFILE.read_text()
    steps = [line.split(" ", 1) for line in snippet.code.splitlines() if not line.startswith("#")]
    assert [step for step, _ in steps] == ["FROM", "RUN", "WORKDIR", "COPY", "CMD"]
    [install] = taken_apart(steps[1][1].replace("--no-cache-dir ", ""))
    check(install)
    program, *arguments = compose.command_of_the_image()
    PROGRAMS[program](arguments)


def check_compose(snippet: Snippet) -> None:
    """It is the example's; keeps to the compose specification; and names what its programs read and listen on."""
    assert snippet.code == compose.FILE.read_text()
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(compose.FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    services = compose.services()
    assert services.keys() == IMAGES.keys() | {"shop"}
    for name, read in IMAGES.items():
        assert services[name].get("environment", {}).keys() == read, name
    for name, value in services["shop"]["environment"].items():
        check_variable(name, value)
    _check_ports(services)


def _check_ports(services: dict[str, Any]) -> None:
    """What one service is told of another is where that listens; on this machine all listen on loopback only."""
    told = {
        *(value for name in ("oap", "ui", "shop") for value in services[name]["environment"].values()),
        *(word for word in compose.command_of_the_image() if ":8000" in word),
    }
    assert told == {"banyandb", "banyandb:17912", "http://oap:12800", "oap:11800", "0.0.0.0:8000"}
    published = {port for service in services.values() for port in service.get("ports", ())}
    assert published == {f"127.0.0.1:{port}:{port}" for port in (8000, 8080, 11800, 12800)}
