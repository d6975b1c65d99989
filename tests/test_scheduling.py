"""The sampler's thread asks for short time slices, where the system grants them."""

from __future__ import annotations

import hashlib
import os
import platform
import threading

import pytest

from swprof_mw.profiling.scheduling import RunDelay, ask_for_short_slices
from tests.doubles import handle, sampling, wait_until


def on_a_thread() -> bool | None:
    """What the question was answered with, on a thread of its own: its slices are its own."""
    answers: list[bool | None] = []
    thread = threading.Thread(target=lambda: answers.append(ask_for_short_slices()))
    thread.start()
    thread.join()
    return answers[0]


def slice_now() -> int:
    """The calling thread's slice, ns; 0 where the system does not tell."""
    try:
        with open("/proc/thread-self/sched", encoding="ascii") as lines:
            return next((int(line.split(":")[1]) for line in lines if line.startswith("se.slice")), 0)
    except OSError:
        return 0


def test_linux_agrees_and_keeps_the_threads_nice_value() -> None:
    found: list[tuple[bool | None, int, int]] = []

    def ask() -> None:
        os.setpriority(os.PRIO_PROCESS, 0, 3)
        before = slice_now()
        agreed = ask_for_short_slices()
        # Kernels before 6.12 agree and change nothing.
        found.append((agreed, os.getpriority(os.PRIO_PROCESS, 0), slice_now() - before))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    [(agreed, nice, change)] = found
    assert (agreed, nice) == (True, 3)
    assert change < 0 or _release() < (6, 12) or slice_now() == 0


def _release() -> tuple[int, ...]:
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])


def test_only_the_samplers_own_thread_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        "swprof_mw.profiling.sampler.ask_for_short_slices", lambda: asked.append(threading.get_native_id())
    )
    with sampling() as sampled:
        handle(sampled.context(), lambda: wait_until(lambda: asked))
        handle(sampled.context(), lambda: None)
    assert len(asked) == 1
    assert asked != [threading.get_native_id()]


@pytest.mark.parametrize(("what", "answer"), [("sys.platform", "darwin"), ("platform.machine", lambda: "toaster")])
def test_elsewhere_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, what: str, answer: object) -> None:
    monkeypatch.setattr(what, answer)
    assert on_a_thread() is False


def test_a_thread_of_a_class_of_its_own_is_left_alone() -> None:
    found: list[tuple[bool | None, int]] = []

    def ask() -> None:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        found.append((ask_for_short_slices(), os.sched_getscheduler(0)))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert found == [(False, os.SCHED_BATCH)]


def test_time_that_a_thread_is_kept_from_a_processor_is_told() -> None:
    """Two threads that compute, without the GIL, on one processor."""
    found: list[int | None] = []

    def compute() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        delay = RunDelay()
        before = delay.read()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000)
        after = delay.read()
        delay.close()
        found.append(after - before if before is not None and after is not None else None)

    threads = [threading.Thread(target=compute) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(delay is not None and delay > 1_000_000 for delay in found), found


def test_a_system_without_such_figures_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> int:
        raise FileNotFoundError

    monkeypatch.setattr(os, "open", missing)
    assert RunDelay().read() is None


def test_no_file_is_left_open_while_nothing_is_sampled() -> None:
    def files() -> int:
        return sum(_name(fd) == "schedstat" for fd in _descriptors())

    before = files()
    with sampling() as sampled:
        handle(sampled.context(), lambda: wait_until(lambda: files() == before + 1))
        wait_until(lambda: files() == before)


def _descriptors() -> list[str]:
    # The one by which they are listed is closed again.
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")]


def _name(descriptor: str) -> str:
    """Of the file; other threads close theirs at any time."""
    try:
        return os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
    except FileNotFoundError:
        return ""
