"""Requests are profiled beside other vendors' agents as without, and those see the requests: docs/check.md says so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.agents.beside import STARTS
from tests.agents.names import FUNCTIONS, ROUTES
from tests.environments import environment
from tests.scripts import told_by

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = (
    "ddtrace>=3",
    "elastic-apm>=6.20",
    "newrelic>=10",
    "opentelemetry-sdk>=1.27",
    "opentelemetry-instrumentation-asyncio",
    "opentelemetry-instrumentation-fastapi",
    "opentelemetry-instrumentation-flask",
    "opentelemetry-instrumentation-threading",
    "pyroscope-io>=0.8",
    "sentry-sdk>=2",
    "blinker>=1.5",
    "fastapi>=0.100",
    "flask>=2.2",
    "grpcio>=1.60",
    "protobuf>=4.25",
    "pytest>=8",
)

pytestmark = [pytest.mark.agents, pytest.mark.timeout(300)]


def beside(agent: str) -> dict[str, Any]:
    """What is seen of the requests beside that agent."""
    return told_by(environment("agents", sys.executable, *REQUIREMENTS), "tests.agents.beside", agent, ROOT, 120)


@pytest.mark.parametrize("agent", STARTS)
def test_a_request_is_profiled_beside_another_agent(agent: str) -> None:
    result = beside(agent)
    assert result["told"] == dict.fromkeys(FUNCTIONS, True), "the other agent does not see the request"
    for path, functions in FUNCTIONS.items():
        found = result["found"][path]
        assert (found["status"], found["name"]) == (200, ROUTES[path])
        stacks = found["stacks"]
        inside = [stack for stack in stacks if all(any(name in line for line in stack) for name in functions)]
        assert len(inside) >= len(stacks) / 2 > 2, stacks
