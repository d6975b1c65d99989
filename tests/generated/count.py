"""A pytest plugin that says how many generated cases have passed: ``pytest -p tests.generated.count --least 20000``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.generated.amount import passed


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's own option."""
    parser.addoption("--least", type=int, default=0, help="fail if fewer generated cases than this have passed")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """All may be well with too few cases: that says too little."""
    if exitstatus == pytest.ExitCode.OK and sum(passed.values()) < session.config.getoption("least"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """A line for each test, and the sum."""
    for name, count in sorted(passed.items()):
        terminalreporter.write_line(f"{count:8,} {name}")
    total, least = sum(passed.values()), config.getoption("least")
    wanted = f", {least:,} are wanted" if total < least else ""
    terminalreporter.write_line(f"{total:8,} generated cases passed{wanted}")
