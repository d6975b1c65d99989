"""Nothing stays behind of requests that were sampled every millisecond. The long form is ``make retention``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version

import pytest
from packaging.version import Version

from bench import flat
from bench.census import State
from bench.driving import KINDS, THRESHOLDS, Kind, Outcome, Plan, run
from bench.retention import faults

pytestmark = [pytest.mark.slow, pytest.mark.costs]

#: Of a run: some four seconds.
REQUESTS = 320
AT_ONCE = 3
#: A run that samples less proves nothing.
SNAPSHOTS = 500
#: Up to version 4.8 AnyIO's workers keep the Context and the arguments of their last call until the next one.
KEPT_BY_A_WORKER = 0 if Version(version("anyio")) >= Version("4.9") else 2
WORKER = "anyio._backends._asyncio.run"
ALIVE = re.compile(r"(\d+) requests are alive: ")
#: What `bench.apps.leaky` leaves behind, and what is said of it.
PLANTED = {
    "span": "more of swprof_mw.span.EntrySpan",
    "frame": "requests are alive: bench.apps.driven.Mark",
    "thread": "more threads of ",
    "file": "more open files",
    "slot": "not idle",
    "trouble": "something is wrong",
}


def kind(name: str) -> Kind:
    """The kind of that name."""
    return next(kind for kind in KINDS if str(kind) == name)


THREADED, ASYNC = kind("gunicorn-gthread-flask"), kind("uvicorn-fastapi")
LEAKY = replace(THREADED, target="bench.apps.leaky:app")


def measure(which: Kind, enabled: bool) -> Outcome:
    """A short run."""
    phases = len(THRESHOLDS) * len(which.styles)
    counts = (REQUESTS // phases,) * phases
    plan = Plan(seconds=4, counts=counts, clients=12, pause=0.1, quiet=0.5, patience=1 if which is LEAKY else 20)
    return run(which, enabled, plan, settings={"LEAKS": ",".join(PLANTED)})


Runs = dict[tuple[Kind, bool], Future[Outcome]]


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """With us (true) and without, some at a time: they mostly wait."""
    wanted = [(THREADED, True), (THREADED, False), (LEAKY, True), (ASYNC, True), (ASYNC, False)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {each: pool.submit(measure, *each) for each in wanted}


def is_kept(fault: str, most: int) -> bool:
    """Whether that is what so many requests are that AnyIO's workers keep, and their memory."""
    alive = ALIVE.match(fault)
    return int(alive[1]) <= most if alive else most > 0 and fault.endswith("more blocks of memory")


@pytest.mark.parametrize("which", [THREADED, ASYNC], ids=str)
def test_nothing_more_is_retained_than_without_us(which: Kind, runs: Runs) -> None:
    with_us, control = (runs[which, enabled].result() for enabled in (True, False))
    workers = max(census.threads.get(WORKER, 0) for census in (with_us.before, with_us.after))
    kept = {fault for fault in faults(with_us, control) if is_kept(fault, workers * KEPT_BY_A_WORKER)}
    assert set(faults(with_us, control)) == kept
    assert with_us.requests == control.requests
    assert with_us.snapshots > SNAPSHOTS
    assert control.snapshots == 0


@pytest.mark.parametrize("leak", PLANTED)
def test_what_stays_behind_is_found(leak: str, runs: Runs) -> None:
    found = faults(runs[LEAKY, True].result(), runs[THREADED, False].result())
    assert any(PLANTED[leak] in fault for fault in found), found


def wavering(index: int) -> State:
    """What a healthy process holds at a moment: it comes and goes."""
    up = index % 5
    return State(60 + up / 10, 60, 190_000 + 100 * up, 20 + up % 2, 15 + up, up, up, 40 * up)


#: What goes wrong with the n-th of 40 samples, and what is said of it.
GROWING: dict[str, Callable[[State, int], State]] = {
    "MB of memory": lambda state, index: replace(state, memory=60 + index / 5),
    "blocks of memory": lambda state, index: replace(state, blocks=190_000 + 200 * index),
    "threads": lambda state, index: replace(state, threads=20 + index // 4),
    "open files": lambda state, index: replace(state, descriptors=15 + index // 4),
    "queued": lambda state, index: replace(state, queued=10 * index),
    "slots": lambda state, index: replace(state, slots=6 if index == 20 else 1),
}


def test_what_comes_and_goes_is_flat() -> None:
    assert flat.faults([wavering(index) for index in range(40)]) == []
    assert flat.faults([wavering(index) for index in range(5)]), "too few to tell"


@pytest.mark.parametrize("what", GROWING)
def test_what_grows_is_not_flat(what: str) -> None:
    [fault] = flat.faults([GROWING[what](wavering(index), index) for index in range(40)])
    assert what in fault
