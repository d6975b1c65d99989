"""On systems other than Linux requests are profiled too, only without marks; what those lack is taken away here."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from swprof_mw.cli import serving
from swprof_mw.query.client import OapClient
from tests.faulty import SNAPSHOTS, Backend, task_command
from tests.scripts import ROOT, Script

ELSEWHERE = os.pathsep.join([str(ROOT / "tests" / "elsewhere"), str(ROOT)])
PROFILED = """
import swprof_mw
assert not hasattr(os, "register_at_fork") and not hasattr(time, "pthread_getcpuclockid"), "this is Linux"
def work():
    end = time.monotonic() + 1
    while time.monotonic() < end:
        sum(range(500))

request(seconds=0)
wait_for(lambda: swprof_mw.stats().tasks["shop"])
span = shop.begin("GET", "/cart")
span.enter(sys._getframe())
span.route("/cart")
work()
time.sleep(0.2)
span.end(200)
wait_for(lambda: swprof_mw.stats().finishes.sent)
"""


def test_a_request_is_profiled_line_by_line_and_no_line_is_marked() -> None:
    with Backend() as backend:
        backend.commands["shop"] = [task_command("/cart", "one", MaxSamplingCount=1)]
        script = Script(backend.address, PROFILED, {"PYTHONPATH": ELSEWHERE})
        script.output()
        stacks = [snapshot.stack.codeSignatures for snapshot in backend.messages(SNAPSHOTS)]
    assert script.errors == ""
    assert len(stacks) > 20
    assert {stack[-1].rpartition(": ")[0] for stack in stacks} == {"<string>.work", ""}
    assert {stack[-1] for stack in stacks if ": " not in stack[-1]} == {"/cart"}  # and not [waiting]


def test_the_collector_keeps_a_file_there(tmp_path: object) -> None:
    command = [sys.executable, "-m", "swprof_mw", "collector", "--grpc-port", "0", "--http-port", "0"]
    with subprocess.Popen(
        [*command, "--store", f"{tmp_path}/store"],
        env={**os.environ, "PYTHONPATH": ELSEWHERE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert OapClient(process.stdout.readline().split()[1]).services() == []
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


@pytest.fixture
def without_sigterm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where there is no such signal."""
    with monkeypatch.context() as patch:
        patch.delattr(signal, "SIGTERM")
        importlib.reload(serving)
        yield
    importlib.reload(serving)


@pytest.mark.usefixtures("without_sigterm")
def test_without_sigterm_a_command_ends_by_sigint() -> None:
    before = signal.getsignal(signal.SIGINT)
    with serving.told_to_stop() as wait:
        signal.raise_signal(signal.SIGINT)
        wait()
    assert signal.getsignal(signal.SIGINT) is before
