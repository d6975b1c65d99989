"""Reading the frames of threads that run on does no harm to the process, whatever garbage collection does meanwhile."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from swprof_mw.profiling.locate import collection
from swprof_mw.profiling.locate.collection import NoCollection

ROOT = Path(__file__).resolve().parent.parent

#: Threads that call functions of all sizes; a collection that begins where frames are read gives the GIL away.
RESTLESS = r"""
import gc, random, sys, threading, time
from tests.doubles import begin, end, sampling

functions = []
for size in range(12):
    names = " = ".join(f"v{number}" for number in range(2 * size + 1))
    text = f"def call(depth):\n {names} = depth\n return depth and random.choice(functions)(depth - 1)"
    namespace = {"random": random, "functions": functions}
    exec(text, namespace)
    functions.append(namespace["call"])

def collecting(phase, _):
    frame = sys._getframe()
    while frame is not None and "/profiling/locate/" not in frame.f_code.co_filename:
        frame = frame.f_back
    if frame is not None:
        time.sleep(0.0002)

def work():
    while time.monotonic() < until or (len(sampled.snapshots) <= 50 and time.monotonic() < latest):
        random.choice(functions)(random.randrange(20))

gc.set_threshold(5)
sys.setswitchinterval(0.0005)
gc.callbacks.append(collecting)
until = time.monotonic() + 2.0
latest = until + 20.0
threads = [threading.Thread(target=work) for _ in range(2)]
with sampling(max_cpu=100) as sampled:
    # On a thread that waits: all others are searched for what works for it.
    context = sampled.context(dump_period=1)
    span = begin(context)
    span.enter(sys._getframe())
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    end(span)
print("well", len(sampled.snapshots) > 50)
"""


def test_threads_that_run_on_while_garbage_is_collected_crash_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(RESTLESS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "well True\n", "")


@pytest.fixture
def _dangerous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "_IS_DANGEROUS", True)


@pytest.mark.usefixtures("_dangerous")
def test_the_threshold_is_put_back() -> None:
    before = gc.get_threshold()
    with NoCollection():
        assert gc.get_threshold() == (0, *before[1:])
        assert gc.isenabled()
    assert gc.get_threshold() == before
    with pytest.raises(ZeroDivisionError), NoCollection():
        raise ZeroDivisionError
    assert gc.get_threshold() == before


@pytest.mark.usefixtures("_dangerous")
def test_what_the_app_has_set_meanwhile_stays() -> None:
    before = gc.get_threshold()
    try:
        with NoCollection():
            gc.set_threshold(123)
        assert gc.get_threshold()[0] == 123
        gc.set_threshold(0)
        with NoCollection():
            gc.set_threshold(77)
        assert gc.get_threshold()[0] == 77
    finally:
        gc.set_threshold(*before)


def test_nothing_is_touched_where_it_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "_IS_DANGEROUS", False)
    before = gc.get_threshold()
    with NoCollection():
        assert gc.get_threshold() == before
