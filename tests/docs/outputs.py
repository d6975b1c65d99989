"""What pages show as the output of a command: run, or held against what it tells of."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from swprof_mw.cli.waiting import progress
from swprof_mw.query.client import Task
from tests.docs import start, trees
from tests.docs.session import QUERIES, Session
from tests.snippets import ROOT, Snippet

EXAMPLES = {path.name: path.read_text() for path in (ROOT / "examples").glob("*.py")}
UNNAMED = """
from fastapi import FastAPI

from swprof_mw.asgi import SWProfilerMiddleware

app = FastAPI()
app.add_middleware(SWProfilerMiddleware)
"""


def check(snippet: Snippet) -> None:
    """A block that is nothing but output."""
    if snippet.page == "check.md":
        _check_check(snippet.code)
    elif snippet.page in start.PAGES:
        assert snippet.code == start.tree(snippet.page)  # which is compared where the page is followed
        trees.check(snippet.code, next(start.choices(snippet.page)).files)
    else:
        trees.check(snippet.code, EXAMPLES)


def check_line(line: str) -> None:
    """A line below a prompt."""
    found = re.fullmatch(r"(sampling: (\d) of (\d) requests profiled in (\d) processes); \d+ s left", line)
    if found:
        task = Task("id", "/", 0, 1, notified=frozenset(map(str, range(int(found[4])))), finished=frozenset())
        assert progress(task, int(found[2]), int(found[3])) == found[1]
    else:
        trees.check(re.sub(r"^(\d+ ms)  ", r"100.0 % \1 ", line), EXAMPLES)


def _check_check(shown: str) -> None:
    """An app without a name of its own, and a backend's other port, as the page has it."""
    with tempfile.TemporaryDirectory() as scratch, Session(Path(scratch)) as session:
        (Path(scratch) / "shop.py").write_text(UNNAMED)
        session.keep_running("swprof collector", QUERIES)
        other_port = f"SW_AGENT_COLLECTOR_BACKEND_SERVICES=127.0.0.1:{QUERIES}"
        given = f"env -u SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL {other_port}"
        printed = session.run(f"{given} swprof check shop:app || test $? = 1")
        address = session.here(f"127.0.0.1:{QUERIES}")
    there = shown.replace("oap.example.com:12800", address).replace("version 10.1.0", "version swprof_mw-0.1.0")
    assert _words(there) == _words(printed)


def _words(text: str) -> list[str]:
    """Whatever the Python is, and the columns."""
    return re.sub(r"Python [\d.]+", "Python", text).split()
