"""A pytest plugin for the test suites of frameworks: it puts a wrapper into every app that they make.

With ``--wrap=swprof`` that is our middleware, an agent runs, and a profile task is fed for each request.
``--wrap=empty`` passes all on, to tell what fails under any wrapper. Without it nothing is touched. Every request is
timed from outside, and with our middleware the session fails unless nearly all of the long ones were sampled.

The suites have a package ``tests`` of their own, so this is a package at the top, which needs nothing from ours.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from swprof_mw import agent

from .ledger import Ledger
from .places import PLACES


class Session:
    """What the plugin knows while the suite runs."""

    def __init__(self, config: pytest.Config) -> None:
        self.wrap: str = config.getoption("wrap")
        self.ledger = Ledger(config.getoption("lengthen"), self.wrap == "swprof")
        self.outcomes: dict[str, str] = {}
        self._file: str = config.getoption("outcomes")
        if self.wrap != "none":
            PLACES[config.getoption("place")](self.ledger, self.wrap)
        if self.wrap == "swprof":
            self.ledger.watch_snapshots()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test passed if its set-up and its end did too."""
        if self.outcomes.get(report.nodeid, "passed") == "passed":
            self.outcomes[report.nodeid] = report.outcome

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send what is left, write the outcomes down, and fail if too few of the long requests were sampled."""
        agent.shut_down(10.0)
        problem = self.problem
        if problem:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._file:
            found = {"outcomes": self.outcomes, "kept": sorted(self.ledger.kept), "problem": problem}
            Path(self._file).write_text(json.dumps({**found, **asdict(self.ledger.sums())}))

    @property
    def problem(self) -> str:
        """What is wrong with the requests, if our middleware was to be in the apps."""
        return self.ledger.sums().verdict() if self.wrap == "swprof" else ""

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """One line on the requests."""
        sums = self.ledger.sums()
        if self.wrap == "swprof":
            line = f"{sums.sampled} of {sums.long} long requests sampled, {sums.requests} requests in all"
            terminalreporter.write_line(f"swprof: {self.problem or line}")
            for test in self.ledger.unsampled():
                terminalreporter.write_line(f"swprof: not sampled: {test}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's own options."""
    group = parser.getgroup("transparency")
    group.addoption("--wrap", choices=("none", "empty", "swprof"), default="none")
    group.addoption("--place", choices=tuple(PLACES), default="flask")
    group.addoption("--lengthen", type=int, default=4, help="one of so many requests is made long")
    group.addoption("--outcomes", default="", help="the file to write the tests' outcomes to")


def pytest_configure(config: pytest.Config) -> None:
    """Before the suite is imported."""
    config.pluginmanager.register(Session(config))
