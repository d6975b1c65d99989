"""Nothing stays behind of requests that were sampled every millisecond. The long form is ``make retention``."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from bench.driving import KINDS, THRESHOLDS, Kind, Outcome, Plan, run
from bench.retention import faults

#: Of a run: some four seconds.
REQUESTS = 320
AT_ONCE = 3
#: A run that samples less proves nothing.
SNAPSHOTS = 500
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


@pytest.mark.parametrize("which", [THREADED, ASYNC], ids=str)
def test_nothing_more_is_retained_than_without_us(which: Kind, runs: Runs) -> None:
    with_us, control = (runs[which, enabled].result() for enabled in (True, False))
    assert faults(with_us, control) == []
    assert with_us.requests == control.requests
    assert with_us.snapshots > SNAPSHOTS
    assert control.snapshots == 0


@pytest.mark.parametrize("leak", PLANTED)
def test_what_stays_behind_is_found(leak: str, runs: Runs) -> None:
    found = faults(runs[LEAKY, True].result(), runs[THREADED, False].result())
    assert any(PLANTED[leak] in fault for fault in found), found
