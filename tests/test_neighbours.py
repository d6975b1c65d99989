"""Debuggers, coverage, tracers and other profilers in the same process: they see what they see without us, so do we.

Each tool runs in a process of its version of Python, `tests.style_apps.beside`, and watches the same requests with and
without us.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bench.environments import available, interpreter
from tests.environments import environment
from tests.style_apps.beside import TOOLS
from tests.style_apps.tool import Tool

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ("coverage>=7.9", "pyinstrument>=5", "yappi>=1.6")
#: In CI a missing one is a failure.
VERSIONS = ["3.10", "3.11", "3.12", "3.13"] if os.environ.get("CI") else available()


def run(version: str) -> dict[str, Any]:
    """What came of all tools on one version of Python."""
    python = environment("neighbours", interpreter(version), *REQUIREMENTS)
    command = [str(python), "-m", "tests.style_apps.beside"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@functools.cache
def runs() -> dict[str, Future[dict[str, Any]]]:
    """All versions at once: they mostly wait."""
    pool = ThreadPoolExecutor(len(VERSIONS))
    return {version: pool.submit(run, version) for version in VERSIONS}


tools = pytest.mark.parametrize(
    ("version", "tool"),
    [
        pytest.param(version, tool, id=f"{version}-{tool.name}")
        for version in VERSIONS
        for tool in TOOLS
        if tuple(map(int, version.split("."))) >= tool.since
    ],
)


@tools
def test_a_tool_sees_beside_us_what_it_sees_without(version: str, tool: type[Tool]) -> None:
    result = runs()[version].result()[tool.name]
    assert "error" not in result, result["error"]
    without, beside = result["without"], result["beside"]
    assert beside["recorded"] == without["recorded"]
    assert beside["answers"] == without["answers"]
    assert (without["is_on"], beside["is_on"]) == (True, True)


@tools
def test_our_profile_shows_the_requests_own_functions_beside_it(version: str, tool: type[Tool]) -> None:
    result = runs()[version].result()[tool.name]
    assert result["missing"] == []
    own = [stack for stack in result["stacks"] if any(".own_" in line for line in stack)]
    assert len(own) >= 0.95 * len(result["stacks"])
