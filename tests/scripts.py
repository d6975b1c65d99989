"""Python code in a process of its own, with an app in it that reports to a backend of the test's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# What each script begins with. A request takes 60 ms and is one entry span, as an adapter would make it.
PRELUDE = """
import os, sys, time, threading
from swprof_mw.application import Application

shop = Application(7001, {"service_name": "shop"})

def request(path="/cart", seconds=0.06):
    span = shop.begin("GET", path)
    span.enter(sys._getframe())
    span.route(path)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(500))
    span.end(200)

def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)

def fork(child):
    pid = os.fork()
    if pid:
        return pid
    try:
        child()
        from swprof_mw import agent
        agent.shut_down()
        os._exit(0)
    finally:
        sys.excepthook(*sys.exc_info())
        os._exit(1)

def end_of(pid, seconds=20.0):
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if time.monotonic() > end:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return "hangs"
        time.sleep(0.005)
"""


def told_by(python: str | Path, module: str, argument: str, cwd: Path, timeout: float) -> dict[str, Any]:
    """The object that ``python -m module argument`` prints as the last line, of JSON, run in ``cwd``."""
    done = subprocess.run(
        [str(python), "-m", module, argument],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


#: From 3.12 on Python warns of every fork of a process that has threads, as one with an agent has.
_FORKS = "ignore:This process:DeprecationWarning"


class Script:
    """A process that runs ``before``, `PRELUDE` and then ``code``.

    Args:
        backend: the address that it reports to.
        code, before: Python; indented or not.
        environment: more variables; one that is empty is unset.
        python: the interpreter.
    """

    def __init__(
        self,
        backend: str,
        code: str,
        environment: Mapping[str, str] | None = None,
        python: str | Path = sys.executable,
        before: str = "",
    ) -> None:
        settings = {
            "SW_AGENT_COLLECTOR_BACKEND_SERVICES": backend,
            "SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL": "0.1",
            "PYTHONPATH": str(ROOT),
        }
        every = {**os.environ, **settings, **(environment or {})}
        self.process = subprocess.Popen(
            [str(python), "-W", _FORKS, "-c", textwrap.dedent(before) + PRELUDE + textwrap.dedent(code)],
            env={name: value for name, value in every.items() if value},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors = ""

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def send(self, number: signal.Signals) -> None:
        """A signal."""
        self.process.send_signal(number)

    def output(self, timeout: float = 60.0, status: int = 0) -> str:
        """What it printed, once it has ended with that status; ``errors`` is what it wrote to stderr."""
        try:
            out, self.errors = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, self.errors = self.process.communicate()
            raise AssertionError(f"it hangs; it said:\n{out}\n{self.errors}") from None
        assert self.process.returncode == status, f"{self.process.returncode}:\n{out}\n{self.errors}"
        return out
