"""Requests on greenlets: found running and waiting, with the greenlets that they spawn and wait for."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import gevent.pool
import greenlet
import pytest

from swprof_mw.application import Application
from swprof_mw.profiling.clocks import ThreadClocks
from swprof_mw.profiling.locate.locator import Locator
from swprof_mw.profiling.locate.look import Look
from swprof_mw.profiling.locate.place import Place, current_greenlet, current_request
from swprof_mw.span import EntrySpan
from tests.recorded import Recorded

pytestmark = pytest.mark.alone

Handler = Callable[[], None]


def burn(seconds: float) -> None:
    """Compute, without giving the hub a turn."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def computes() -> None:
    burn(0.05)


def waits() -> None:
    gevent.sleep(0.05)


def joins_one() -> None:
    gevent.spawn(child).join()


def joins_all() -> None:
    gevent.joinall([gevent.spawn(child), gevent.spawn(child)])


def maps_over_a_pool() -> None:
    gevent.pool.Pool(2).map(lambda _: child(), [1, 2])


def joins_a_child_of_a_child() -> None:
    gevent.spawn(joins_one).join()


def leaves_one_alone() -> None:
    gevent.spawn(helper)
    waits()


def child() -> None:
    gevent.sleep(0.1)
    burn(0.05)


def helper() -> None:
    gevent.sleep(0.4)


def stranger(stop: list[bool]) -> None:
    """Another request on the same hub."""
    while not stop:
        burn(0.002)
        gevent.sleep(0.002)


@pytest.fixture
def serve(recorded: Recorded) -> Iterator[Callable[[Handler], list[tuple[str, ...]]]]:
    """Profile a request on a greenlet, with another one beside it; the functions of each of its snapshots."""
    application = Application(7000, {"service_name": "shop"})
    application.attach()
    recorded.profile("/x")
    stop: list[bool] = []

    def request(handler: Handler) -> None:
        span = application.begin("GET", "/x")
        assert isinstance(span, EntrySpan)
        token = current_request.set(span)
        span.enter(sys._getframe())
        span.route("/x")
        gevent.sleep(0)
        try:
            handler()
        finally:
            span.end(200)
            current_request.reset(token)

    def run(handler: Handler) -> list[tuple[str, ...]]:
        beside = gevent.spawn(stranger, stop)
        gevent.spawn(request, handler).get()
        stop.append(True)
        beside.join()
        return [tuple(map(function, snapshot.stack[1:])) for snapshot in recorded.snapshots]

    yield run
    gevent.get_hub().destroy()


def function(signature: str) -> str:
    """``module.py.name: 3`` is ``name``; a mark is itself."""
    return signature.rpartition(":")[0].rpartition(".")[2] or signature


@pytest.mark.parametrize(
    ("handler", "inside"),
    [
        (computes, ["computes", "burn"]),
        (waits, ["waits", "sleep", "[waiting]"]),
        (joins_one, ["joins_one", "child", "burn"]),
        (joins_one, ["joins_one", "child", "sleep", "[waiting]"]),
        (joins_all, ["joins_all", "child", "burn"]),
        (joins_a_child_of_a_child, ["joins_a_child_of_a_child", "joins_one", "child", "burn"]),
        (maps_over_a_pool, ["maps_over_a_pool", "child", "burn"]),
        (leaves_one_alone, ["leaves_one_alone", "waits", "sleep", "[waiting]"]),
    ],
    ids=lambda found: found.__name__ if callable(found) else "-".join(found[1:]),
)
def test_a_request_is_found_where_it_is(
    handler: Handler, inside: list[str], serve: Callable[[Handler], list[tuple[str, ...]]]
) -> None:
    stacks = serve(handler)
    found = {tuple(name for name in stack if name in (*inside, "helper", "stranger")) for stack in stacks}
    assert tuple(inside) in found, stacks
    assert not any("stranger" in stack or "helper" in stack for stack in stacks)


def joins(spawned: Handler, place: Place, locator: Locator) -> None:
    """A watched request that waits for a greenlet it spawned."""
    place.enter(sys._getframe())
    locator.watch(place)
    gevent.spawn(spawned).join()
    place.leave()
    locator.unwatch(place)


def test_what_a_request_spawned_is_not_forgotten_before_it_is_sampled() -> None:
    """Nothing is sampled yet: it waits for its slot, or for its minimum duration."""
    place, locator = Place(), Locator(ThreadClocks())
    found: list[list[str]] = []

    def looks() -> None:
        locator.forget_ended()
        sample = locator.look().locate(place)
        assert sample is not None
        found.append([code.co_name for code, _ in sample.positions])

    def spawned() -> None:
        gevent.spawn(looks).join()

    gevent.spawn(joins, spawned, place, locator).get()
    assert [name for name in found[0] if name in ("spawned", "looks")] == ["spawned", "looks"]
    locator.forget_ended()
    assert not locator._sources.spawned._seen


def test_what_ran_when_a_look_began_is_not_shown_for_the_greenlet_that_runs_when_it_ends() -> None:
    place, locator = Place(), Locator(ThreadClocks())
    looks: list[Look] = []
    found: list[list[str]] = []

    def foreign() -> None:
        looks.append(locator.look())

    def spawned() -> None:
        gevent.sleep(0.01)
        sample = looks.pop().locate(place)
        assert sample is not None
        found.append([code.co_name for code, _ in sample.positions])

    gevent.spawn_later(0.005, foreign)
    gevent.spawn(joins, spawned, place, locator).get()
    assert "foreign" not in found[0]
    assert "spawned" in found[0]


def test_a_task_whose_work_is_on_a_greenlet_is_found_there(recorded: Recorded) -> None:
    """So does SQLAlchemy's asyncio extension run its sync part."""
    application = Application(7000, {"service_name": "shop"})
    application.attach()
    recorded.profile("/x")

    async def request() -> None:
        span = application.begin("GET", "/x")
        assert isinstance(span, EntrySpan)
        span.enter_task(sys._getframe(), asyncio.current_task(), asyncio.get_running_loop())
        greenlet.greenlet(computes).switch()
        span.end(200)

    asyncio.run(request())
    found = {tuple(map(function, snapshot.stack[1:])) for snapshot in recorded.snapshots}
    assert ("computes", "burn") in found


def test_a_request_that_ends_while_it_is_looked_for_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()

    def is_running(task: Any) -> bool:
        place.leave()
        return bool(task.get_coro().cr_running)

    async def request() -> None:
        place.enter_task(sys._getframe(), asyncio.current_task(), asyncio.get_running_loop())
        monkeypatch.setattr("swprof_mw.profiling.locate.tasks.is_running", is_running)
        greenlet.greenlet(lambda: Locator(ThreadClocks()).look().locate(place)).switch()

    asyncio.run(request())
    assert place.task is None


def test_another_tracer_goes_on_and_ours_is_taken_off(serve: Callable[[Handler], list[tuple[str, ...]]]) -> None:
    events: list[str] = []

    def theirs(event: str, _: Any) -> None:
        events.append(event)

    before = greenlet.settrace(theirs)
    try:
        assert serve(waits)
        assert greenlet.gettrace() is theirs
    finally:
        greenlet.settrace(before)
    assert "switch" in events


def test_without_a_task_there_is_no_tracer() -> None:
    application = Application(7000, {"service_name": "shop"})
    span = application.begin("GET", "/x")
    assert span is not None
    assert greenlet.gettrace() is None
    span.end(200)


def test_what_fails_in_our_tracer_is_not_raised_in_the_apps_greenlets(
    serve: Callable[[Handler], list[tuple[str, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise LookupError("ours")

    monkeypatch.setattr("swprof_mw.profiling.locate.greenlets.weakref.ref", failing)
    assert serve(waits)


def test_a_gevent_that_is_there_in_name_only_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gevent", None)
    monkeypatch.delitem(sys.modules, "greenlet")
    assert current_greenlet() is None
