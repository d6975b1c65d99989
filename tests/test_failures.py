"""What fails on our side is logged, seldom, and goes no further: not even where logging itself fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from swprof_mw import failures
from swprof_mw.failures import guarded, note
from swprof_mw.log import fields


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    failures._last.clear()
    yield
    failures._last.clear()


@guarded("a test")
def fails() -> int:
    raise LookupError("ours")


def test_a_failure_is_logged_once_a_minute_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    assert [fails(), fails()] == [None, None]
    [record] = caplog.records
    assert "failed in a test" in record.getMessage()
    assert record.exc_info is not None


def test_a_note_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    note("odd: %s", 1, extra=fields("odd"))
    note("odd: %s", 2, extra=fields("odd"))
    assert [record.getMessage() for record in caplog.records] == ["odd: 1"]


def test_a_filter_of_the_apps_that_fails_is_not_the_requests_problem() -> None:
    class Failing(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise ValueError("theirs")

    failing = Failing()
    failures.logger.addFilter(failing)
    try:
        assert fails() is None
        note("odd", extra=fields("odd"))
    finally:
        failures.logger.removeFilter(failing)
