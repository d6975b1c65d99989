"""What every test starts from and has to leave behind: no agent, no thread of ours, the switch interval as it was."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from swprof_mw import agent
from swprof_mw.reporter.reporter import Reporter
from tests.environments import python_3_11
from tests.oap.server import OapServer
from tests.recorded import Recorded

pytest_plugins = ["tests.complete"]

# How long an example takes is the machine's matter.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell lets its background jobs ignore it, and so would every server that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    """Says what is not tested here, and why."""
    return [] if python_3_11() else ["no python3.11 on the path: not tested beside the official agent, but in CI"]


@pytest.fixture(autouse=True)
def _clean_process() -> Iterator[None]:
    """After each test the agent is gone and nothing of it is left."""
    interval = sys.getswitchinterval()
    yield
    running = agent.current()
    agent.shut_down(timeout=4.0)
    assert sys.getswitchinterval() == interval, "the switch interval was not put back"
    if running is not None:
        assert not running.sampler.taken, "a slot was not given back"


@pytest.fixture(scope="session")
def oap() -> Iterator[OapServer]:
    """A real OAP, one for all tests that need it."""
    with OapServer() as server:
        yield server


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """An agent whose reporter's loop never starts: what it would send stays readable, tasks are fed by hand."""
    monkeypatch.setattr(Reporter, "start", lambda self: None)
    return Recorded()
