"""A plugin of pytest: ``-p tests.within --within=35`` begins no test after so many seconds, and counts those left."""

from __future__ import annotations

import time
from typing import Any

import pytest


class Within:
    """One run; with workers, one in each of them and one that collects what they say.

    Args:
        seconds: from now on.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.left = 0
        self._end = time.monotonic() + seconds

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """True, which is done with it, if it is too late."""
        late = time.monotonic() > self._end
        self.left += late
        return late or None

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A worker tells how many it left."""
        told: dict[str, Any] = getattr(session.config, "workeroutput", {})
        told["left"] = self.left

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has ended."""
        self.left += getattr(node, "workeroutput", {}).get("left", 0)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say it."""
        if self.left:
            words = f"{self.left} tests were not begun within {self.seconds:g} s: make test runs them"
            terminalreporter.write_line(words)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    parser.addoption("--within", type=float, default=float("inf"), help="seconds after which no test begins")


def pytest_configure(config: pytest.Config) -> None:
    """The time runs from here."""
    config.pluginmanager.register(Within(config.getoption("within")))
