"""What is logged: events and fields as docs/logging.md lists them, and the recipe for the app's own lines."""

from __future__ import annotations

import ast
import io
import json
import logging
import logging.config
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import swprof_mw
from swprof_mw.application import Application
from swprof_mw.log import fields
from swprof_mw.reporter.troubles import Losses, Troubles
from tests import snippets
from tests.recorded import Recorded

ROOT = Path(__file__).resolve().parent.parent
LEVELS = {"info": "INFO", "warning": "WARNING", "error": "ERROR", "exception": "ERROR", "note": "WARNING"}
ROW = re.compile(r"^\| `(\w+)` \| ([A-Z]+) \| (.*?) \|", re.MULTILINE)


class Event(NamedTuple):
    """What a record is known by."""

    name: str
    level: str
    fields: frozenset[str]


def documented() -> set[Event]:
    """The events of the page."""
    text = (snippets.DOCS / "logging.md").read_text()
    return {Event(name, level, frozenset(re.findall(r"`(\w+)`", names))) for name, level, names in ROW.findall(text)}


def calls_of(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Calls that log, and how."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute) and getattr(function.value, "id", "") == "logger":
                yield node, function.attr
            elif getattr(function, "id", "") == "note":
                yield node, "note"


def events_of(function: ast.FunctionDef) -> Iterator[Event]:
    """What a function logs: in each call ``extra`` is a call of ``fields``, or a variable that was set to one."""
    named = {
        each.targets[0].id: each.value
        for each in ast.walk(function)
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
    }
    for call, how in calls_of(function):
        extra: Any = next((each.value for each in call.keywords if each.arg == "extra"), None)
        if isinstance(extra, ast.Name) and extra.id in named:
            extra = named[extra.id]
        assert isinstance(extra, ast.Call), f"{function.name} logs something without fields"
        keys = {each.arg for each in extra.keywords if each.arg}
        yield Event(ast.literal_eval(extra.args[0]), LEVELS[how], frozenset(keys))


def logged() -> set[Event]:
    """The events of the package's source."""
    found = set()
    for path in (ROOT / "swprof_mw").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (path.stem, node.name) != ("failures", "note"):
                found |= set(events_of(node))
    return found


def test_what_is_logged_is_what_the_page_lists() -> None:
    counts = {"segments", "snapshots", "finish_reports"}  # by name where they are counted
    found = {each._replace(fields=each.fields | counts) if each.name == "lost" else each for each in logged()}
    assert found == documented()
    assert len(found) > 15


def test_nothing_is_printed_and_no_handler_or_level_is_set() -> None:
    assert logging.getLogger("swprof_mw").handlers == []
    assert logging.getLogger("swprof_mw").level == logging.NOTSET


def test_fields_have_a_name_of_their_own() -> None:
    assert fields("lost", reason="x") == {"swprof_event": "lost", "swprof_reason": "x"}


def test_records_have_what_the_sentence_says(caplog: pytest.LogCaptureFixture) -> None:
    troubles = Troubles()
    troubles.unavailable("job", "oap:11800", "UNAVAILABLE: refused")
    troubles.refused("other", "keepAlive", "oap:11800", "PERMISSION_DENIED", "PERMISSION_DENIED: no")
    Losses().note({"segments": 3, "finish reports": 0}, "a queue was full")
    assert [told(record) for record in caplog.records] == [
        {"event": "backend_unavailable", "backend": "oap:11800", "error": "UNAVAILABLE: refused"},
        {
            "event": "backend_refuses",
            "backend": "oap:11800",
            "call": "keepAlive",
            "status": "PERMISSION_DENIED",
            "error": "PERMISSION_DENIED: no",
        },
        {"event": "lost", "reason": "a queue was full", "segments": 3, "finish_reports": 0},
    ]
    assert json.dumps([told(record) for record in caplog.records])


def told(record: logging.LogRecord) -> dict[str, object]:
    """The fields of ours."""
    return {key.removeprefix("swprof_"): value for key, value in vars(record).items() if key.startswith("swprof_")}


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before[0], before[1]


@pytest.mark.usefixtures("_logging_as_before")
def test_the_filter_of_the_page_tells_the_trace(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    [code] = [each.code for each in snippets.of_page("logging.md") if "TraceId" in each.code]
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    exec(compile(code, "logging.md", "exec"), {"__name__": "recipe"})
    shop = logging.getLogger("shop.orders")
    shop.warning("outside")
    span = Application(7001, {"service_name": "shop"}).begin("GET", "/")
    assert span is not None
    token: Any = span.activate()
    shop.warning("inside")
    trace = swprof_mw.trace_id()
    span.deactivate(token)
    span.end(200)
    assert recorded.last.trace_id == trace
    assert stderr.getvalue().splitlines() == [
        "WARNING shop.orders [-] outside",
        f"WARNING shop.orders [{trace}] inside",
    ]
