"""A plugin of pytest's: nothing that is collected is skipped or expected to fail, and all of it is known to a test."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

COLLECTED = pytest.StashKey[list[pytest.Item]]()
"""Where the configuration has every test that was found, before any is deselected."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what was found."""
    config.stash[COLLECTED] = list(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that was left out has failed, and so has one that says that it would."""
    report = yield
    if report.skipped or hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """So has a module."""
    report = yield
    if report.skipped:
        _fail(report)
    return report


def _fail(report: Any) -> None:
    report.outcome = "failed"
    report.longrepr = f"nothing is skipped, and nothing is expected to fail: {report.longrepr}"
    vars(report).pop("wasxfail", None)
