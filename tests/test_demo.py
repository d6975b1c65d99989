"""``make demo``: what it ends with. That it profiles all three apps CI sees by running it."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from swprof_mw.query.client import OapClient
from tests.examples import DIRECTORY, EXAMPLES
from tests.load import get
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.docs]

ONE_APP = "import sys, demo; sys.exit(demo.main(demo.EXAMPLES[:1]))"
EXAMPLE = EXAMPLES[0]


@contextmanager
def demo(keep: str) -> Iterator[subprocess.Popen[str]]:
    """The demo with one of the apps."""
    environ = {**os.environ, "PYTHONPATH": f"{DIRECTORY.parent}:{DIRECTORY}", "DEMO_KEEP": keep}
    command = [sys.executable, "-c", ONE_APP]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)  # so that it ends its app, too


def until_page(process: subprocess.Popen[str]) -> list[str]:
    """What it printed up to the line with the page's address."""
    assert process.stdout
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("page: "):
            return lines
    raise AssertionError("".join(lines))


def test_it_ends_with_the_page() -> None:
    with demo("") as process:
        lines = until_page(process)
        assert process.wait(20) == 0
        assert process.stdout
        assert process.stdout.read() == ""
    assert "shop.py.compute_prices" in "".join(lines)
    assert lines[-2:-1] == ["1 of 1 example apps profiled\n"]
    page = lines[-1].split()[1]
    assert lines[-1] == f"page: {page} closes now, with DEMO_KEEP=1 it stays open\n"
    with pytest.raises(ConnectionRefusedError):
        get(page)


def test_kept_open_it_shows_the_profiles_and_more_can_be_made() -> None:
    with demo("1") as process:
        page = until_page(process)[-1].split()[1]
        assert get(page)[0] == 200
        client = OapClient(page)
        [task] = client.tasks(EXAMPLE.service)
        assert len(client.segments(task.id)) == 1
        # The first one still runs where it was created less than a minute ago; one of a later time is taken.
        later = client.create_task(EXAMPLE.service, EXAMPLE.endpoint, start=task.start + 120_000)
        eventually(lambda: is_noticed(client, later), "an app that runs on takes a task")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        with pytest.raises((ConnectionRefusedError, http.client.RemoteDisconnected)):
            get(page)


def is_noticed(client: OapClient, task_id: str) -> bool:
    """Whether a process has taken the task."""
    return any(task.id == task_id and task.notified for task in client.tasks(EXAMPLE.service))
