"""The end of a process, however it comes: what is queued has been sent by then, and the end does not take long."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.environments import available, environment
from swprof_mw import native
from swprof_mw.config import Config
from swprof_mw.records import Finish
from swprof_mw.reporter.reporter import Reporter
from tests.faulty import FINISH, SNAPSHOTS, Backend, task_command
from tests.reports import segment, snapshot
from tests.scripts import PRELUDE, Script

#: The end is over so many seconds after it began; the interpreter's own share of it is small.
WITHIN = 2.5
#: All that fits the queue of snapshots, and five calls' worth of segments.
FULL, SEGMENTS = 4_500, 1_000


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend that listens."""
    with Backend() as started:
        yield started


# Fills the queues while nothing is sent, then says that it is ready to end.
FULL_QUEUES = """
from swprof_mw import agent
from swprof_mw.records import Finish
from tests.reports import segment, snapshot

def fill():
    request(seconds=0)
    reporter = agent.current().reporter
    wait_for(lambda: reporter.segments.sent == 1)
    assert reporter.hold(5)
    for number in range(1, 1_001):
        reporter.segments.add(segment(number))
    stack = tuple(f"shop/views.py.function_{line}: {line}" for line in range(30))
    for number in range(4_500):
        assert reporter.snapshots.add(snapshot(number, stack=stack))
    reporter.report_finish(Finish("shop", "shop-1", "task"))
    return reporter

def end():
    reporter = fill()
    print("ready", flush=True)
    reporter.resume()

def wait():
    reporter = fill()
    try:
        print("ready", flush=True)
        while True:  # a signal that comes right before a long sleep would not end it
            time.sleep(0.05)
    finally:
        reporter.resume()
"""
ENDS = {
    "normal": "end()",
    "exit": "end(); sys.exit(0)",
    "exception": "end(); raise KeyError('a mistake of the app')",
    "SIGINT": "wait()",
    "SIGTERM": "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); wait()",
    "thread": "threading.Thread(target=end).start(); wait_for(lambda: agent.current() is not None)",
}
STATUS = {"exception": 1, "SIGINT": -signal.SIGINT}


def check(backend: Backend, script: Script, how: str = "normal") -> None:
    """All that was queued has arrived, soon after the script was ready to end."""
    assert script.line() == "ready"
    began = time.monotonic()
    if how.startswith("SIG"):
        script.send(signal.Signals[how])
    script.output(status=STATUS.get(how, 0))
    took = time.monotonic() - began
    arrived = [message.sequence for message in backend.messages(SNAPSHOTS)]
    assert set(arrived) == set(range(FULL)), f"{len(set(arrived))} of {FULL} snapshots have arrived"
    assert {each.traceSegmentId for each in backend.segments()} >= {str(number) for number in range(1, SEGMENTS + 1)}
    assert len(backend.calls(FINISH)) == 1
    assert took < WITHIN


@pytest.mark.parametrize("how", ENDS)
def test_full_queues_arrive_at_the_end(backend: Backend, how: str) -> None:
    script = Script(backend.address, FULL_QUEUES + ENDS[how])
    check(backend, script, how)
    if how not in ("exception", "SIGINT"):
        assert script.errors == ""


@pytest.mark.processes
@pytest.mark.parametrize("version", available())
@pytest.mark.parametrize("how", ENDS)
def test_full_queues_arrive_at_the_end_of_each_python(backend: Backend, how: str, version: str) -> None:
    check(backend, Script(backend.address, FULL_QUEUES + ENDS[how], python=environment(version)), how)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_full_queues_arrive_at_the_end_of_a_child_of_multiprocessing(
    backend: Backend, method: str, tmp_path: Path
) -> None:
    path = tmp_path / "shop.py"
    main = f"""
if __name__ == "__main__":
    import multiprocessing
    child = multiprocessing.get_context({method!r}).Process(target=end)
    child.start()
    child.join(20)
    assert child.exitcode == 0
"""
    path.write_text(PRELUDE + FULL_QUEUES + main)
    check(backend, Script(backend.address, f"import runpy; runpy.run_path({str(path)!r}, run_name='__main__')"))


def test_full_queues_arrive_where_no_thread_can_be_started(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from 3.12.0 to 3.12.1 on at the end of the interpreter."""
    loop = Reporter(Config.load({"backend_services": backend.address}, environ={}))
    loop.start()
    loop.segments.add(segment(0))
    backend.wait(lambda: loop.segments.sent == 1)

    def refuse(*_: object) -> int:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(native, "start_new_thread", refuse)
    assert loop.hold(5)
    for number in range(FULL):
        loop.snapshots.add(snapshot(number, stack=tuple(map(str, range(30)))))
    loop.report_finish(Finish("shop", "shop-1", "task"))
    loop.resume()
    loop.stop(2.0)
    assert loop.snapshots.sent == FULL
    assert {message.sequence for message in backend.messages(SNAPSHOTS)} == set(range(FULL))
    assert len(backend.calls(FINISH)) == 1


def test_a_sampled_request_that_is_cut_off_arrives(backend: Backend) -> None:
    backend.commands["shop"] = [task_command("/cart")]
    out = Script(
        backend.address,
        """
        import atexit
        from swprof_mw import agent
        request("/")
        service, reporter = agent.current().services["shop"], agent.current().reporter
        wait_for(lambda: service.tasks.current is not None and reporter.segments.sent == 1)
        while not len(reporter.snapshots):
            request()
        atexit.register(lambda: print(reporter.segments.sent, reporter.snapshots.sent, reporter.snapshots.dropped))
        """,
    ).output()
    profiled = [each.traceSegmentId for each in backend.segments() if each.spans[0].operationName == "/cart"]
    snapshots = backend.messages(SNAPSHOTS)
    assert profiled[-1] in {snapshot.traceSegmentId for snapshot in snapshots}
    assert out.split() == [str(len(profiled) + 1), str(len(snapshots)), "0"]
    assert len(backend.calls(FINISH)) == 1


def test_a_script_that_ends_at_once_is_reported(backend: Backend) -> None:
    Script(backend.address, "request(seconds=0)").output()
    assert len(backend.segments()) == 1


@pytest.mark.parametrize("how", ["refused", "hanging"])
def test_the_end_comes_within_two_seconds_though_the_backend_does_not_answer(backend: Backend, how: str) -> None:
    if how == "refused":
        backend.stop()
    backend.fault(hangs=True)
    out = Script(
        backend.address,
        """
        import atexit
        for _ in range(20):
            request(seconds=0)
        time.sleep(0.5)
        ending = time.monotonic()
        atexit.register(lambda: print(time.monotonic() - ending))
        """,
    ).output()
    assert float(out) < 2.2


def test_an_app_that_serves_on_after_the_main_thread_has_ended_is_reported_to_its_end(backend: Backend) -> None:
    Script(
        backend.address,
        """
        def serve():
            threading.main_thread().join()
            for _ in range(3):
                request()

        request()
        threading.Thread(target=serve).start()
        """,
    ).output()
    assert len(backend.segments()) == 4


def test_a_child_of_multiprocessing_that_serves_on_after_its_main_thread_is_reported_too(backend: Backend) -> None:
    script = Script(
        backend.address,
        """
        import multiprocessing

        def serve():
            threading.main_thread().join()
            request("/after")
            time.sleep(2)

        def child():
            request("/before")
            threading.Thread(target=serve).start()

        child = multiprocessing.get_context("fork").Process(target=child)
        child.start()
        child.join(20)
        """,
    )
    script.output()
    assert script.errors == ""
    assert [each.spans[0].operationName for each in backend.segments()] == ["/before", "/after"]


def test_a_request_after_the_end_is_served_without_us(backend: Backend) -> None:
    script = Script(
        backend.address,
        """
        import atexit
        atexit.register(lambda: print(shop.begin("GET", "/late")))
        request(seconds=0)
        """,
    )
    assert script.output().split() == ["None"]
    assert script.errors == ""
    assert len(backend.segments()) == 1
