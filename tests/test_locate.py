"""Where a request is, wherever its server and its app took it; and that nothing of another one is ever shown.

Each scene takes a request to some place and holds it there. What is looked for are the functions of this file on the
stack found, outermost first; those of the request beside it all begin with ``foreign``.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import gc
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import FrameType, ModuleType, TracebackType
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
import uvloop
from asgiref.sync import async_to_sync, sync_to_async

from swprof_mw.profiling.clocks import ThreadClocks
from swprof_mw.profiling.locate.frames import local, look_again, passing
from swprof_mw.profiling.locate.locator import Locator
from swprof_mw.profiling.locate.look import Sample
from swprof_mw.profiling.locate.place import Place, current_request
from swprof_mw.profiling.locate.strand import State
from tests.doubles import wait_until


class Gate:
    """Holds requests wherever they get to, until it is opened.

    Attributes:
        reached: how many are, or were, held.
    """

    def __init__(self) -> None:
        self.reached = 0
        self._open = threading.Event()
        self._suspended: list[asyncio.Future[None]] = []

    async def waits(self) -> None:
        """Suspends the task."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._suspended.append(future)
        self.reached += 1
        if not self._open.is_set():
            await future

    def blocks(self) -> None:
        """Blocks the thread, as reading from a socket would."""
        self.reached += 1
        while not self._open.is_set():
            time.sleep(0.001)

    def idles(self) -> None:
        """Blocks the thread, as waiting for something to do would."""
        self.reached += 1
        assert self._open.wait(20)

    def open(self) -> None:
        """Let all go on."""
        self._open.set()
        while self._suspended:
            future = self._suspended.pop()
            with suppress(RuntimeError):  # the loop has ended, after this was opened before
                future.get_loop().call_soon_threadsafe(_finish, future)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


AsyncScene = Callable[[Gate], Coroutine[Any, Any, object]]
SyncScene = Callable[[Gate], object]
OWN = __file__


def names(sample: Sample | None) -> list[str] | None:
    """The functions of this file in a sample."""
    if sample is None:
        return None
    return [code.co_name for code, _ in sample.positions if code.co_filename == OWN]


def find(place: Place, locator: Locator | None = None) -> list[str] | None:
    """Where the request is, as far as functions of this file go."""
    return names((locator or Locator(ThreadClocks())).look().locate(place))


async def serve(place: Place, scene: Coroutine[Any, Any, object]) -> None:
    """What an ASGI adapter does around a request."""
    token = current_request.set(place)
    place.enter_task(sys._getframe(), asyncio.current_task(), asyncio.get_running_loop())
    try:
        await scene
    finally:
        place.ended = True
        place.leave()
        current_request.reset(token)


def handle(place: Place, scene: Callable[[], object]) -> None:
    """What a WSGI adapter does around a request."""
    token = current_request.set(place)
    place.enter(sys._getframe())
    try:
        scene()
    finally:
        place.ended = True
        place.leave()
        current_request.reset(token)


async def held(gate: Gate, count: int = 1) -> None:
    """Wait until so many are held; and a little longer, until all that follows from it has happened."""
    deadline = time.monotonic() + 20
    while gate.reached < count:
        assert time.monotonic() < deadline, "the scene did not get there"
        await asyncio.sleep(0.001)
    for _ in range(5):
        await asyncio.sleep(0)


async def foreign_child(gate: Gate) -> None:
    await gate.waits()


def foreign_work(gate: Gate) -> None:
    gate.blocks()


async def foreign_request(gate: Gate) -> None:
    """The request beside: in child tasks, on a worker, and in itself."""
    await asyncio.gather(
        foreign_child(gate), asyncio.to_thread(foreign_work, gate), asyncio.wait_for(foreign_child(gate), 30)
    )


@contextmanager
def opened_at_last(*gates: Gate) -> Iterator[None]:
    """Whatever fails, nobody is held any longer."""
    try:
        yield
    finally:
        for gate in gates:
            gate.open()


async def beside(scene: AsyncScene, inside: list[str]) -> Sample:
    """Hold a request in its scene, and another one beside it: both are found where they are, and only there.

    Args:
        scene: the request's own function.
        inside: the functions that it is in, those of the gate included.
    """
    gate, foreign_gate = Gate(), Gate()
    place, foreign = Place(), Place()
    other = asyncio.create_task(serve(foreign, foreign_request(foreign_gate)))
    task = asyncio.create_task(serve(place, scene(gate)))
    locator = Locator(ThreadClocks())
    with opened_at_last(gate, foreign_gate):
        await held(foreign_gate, 3)
        await held(gate)
        # Between the one strand being held and the other one waiting for it there may be a moment.
        await settled(lambda: find(place, locator) == [scene.__name__, *inside])
        look = locator.look()
        sample, others = look.locate(place), names(look.locate(foreign))
        del look
    await asyncio.gather(task, other)
    assert names(sample) == [scene.__name__, *inside]
    assert others is not None
    assert {name.startswith("foreign") for name in others[:-1]} == {True}
    assert find(place, locator) is None
    assert sample is not None
    return sample


async def settled(condition: Callable[[], object]) -> None:
    """Wait a little for something; whether it came to be so is for others to see."""
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        await asyncio.sleep(0.001)


# Suspended in the request's own task.


async def inner(gate: Gate) -> None:
    await gate.waits()


async def middle(gate: Gate) -> None:
    await inner(gate)


async def nested_coroutines(gate: Gate) -> None:
    await middle(gate)


async def generator(gate: Gate) -> AsyncIterator[int]:
    yield 1
    await inner(gate)
    yield 2


async def outer_generator(gate: Gate) -> AsyncIterator[int]:
    async for number in generator(gate):
        yield number


async def async_for(gate: Gate) -> None:
    async for _ in generator(gate):
        pass


async def async_for_through_another(gate: Gate) -> None:
    async for _ in outer_generator(gate):
        pass


async def asend(gate: Gate) -> None:
    numbers: Any = generator(gate)
    await numbers.__anext__()
    await numbers.asend(None)


async def catching_generator(gate: Gate) -> AsyncIterator[int]:
    try:
        yield 1
    except ValueError:
        await inner(gate)
        yield 2


async def athrow(gate: Gate) -> None:
    numbers: Any = catching_generator(gate)
    await numbers.__anext__()
    await numbers.athrow(ValueError())


async def aclose(gate: Gate) -> None:
    async def closing() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await inner(gate)

    numbers: Any = closing()
    await numbers.__anext__()
    await numbers.aclose()


async def anext_with_default(gate: Gate) -> None:
    numbers = generator(gate)
    await anext(numbers, None)
    await anext(numbers, None)


@asynccontextmanager
async def manager(gate: Gate) -> AsyncIterator[None]:
    await inner(gate)
    yield


async def async_with(gate: Gate) -> None:
    async with manager(gate):
        pass


class Manager:
    """An asynchronous context manager written out."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await inner(self._gate)


async def leaving_async_with(gate: Gate) -> None:
    async with Manager(gate):
        pass


class Delegating:
    """Awaitable by another's ``__await__``."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def __await__(self) -> Generator[Any, None, None]:
        return inner(self._gate).__await__()


class Generating:
    """Awaitable by a generator."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def __await__(self) -> Generator[Any, None, None]:
        yield from inner(self._gate).__await__()


async def awaitable_that_delegates(gate: Gate) -> None:
    await Delegating(gate)


async def awaitable_that_generates(gate: Gate) -> None:
    await Generating(gate)


# Suspended in child tasks.


async def gather(gate: Gate) -> None:
    await asyncio.gather(asyncio.sleep(0), middle(gate))


async def gather_in_gather(gate: Gate) -> None:
    await asyncio.gather(asyncio.gather(middle(gate)), asyncio.sleep(0))


async def created_task(gate: Gate) -> None:
    await asyncio.create_task(middle(gate))


async def task_of_a_task(gate: Gate) -> None:
    await asyncio.create_task(created_task(gate))


async def wait_for(gate: Gate) -> None:
    await asyncio.wait_for(middle(gate), 30)


async def shield(gate: Gate) -> None:
    await asyncio.shield(middle(gate))


async def wait_for_shield(gate: Gate) -> None:
    await asyncio.wait_for(asyncio.shield(asyncio.create_task(middle(gate))), 30)


async def wait(gate: Gate) -> None:
    await asyncio.wait({asyncio.create_task(middle(gate))})


async def as_completed(gate: Gate) -> None:
    for done in asyncio.as_completed([middle(gate)]):
        await done


async def anyio_group(gate: Gate) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(middle, gate)


async def anyio_timeout(gate: Gate) -> None:
    with anyio.fail_after(30):
        await middle(gate)


async def listener(gate: Gate) -> None:
    await asyncio.sleep(30)


async def deep_listener(gate: Gate) -> None:
    await listener(gate)


async def with_a_listener(gate: Gate) -> None:
    """A task that nobody waits for, started by the request."""
    helper = asyncio.create_task(deep_listener(gate))
    await asyncio.sleep(0)
    try:
        await gate.waits()
    finally:
        helper.cancel()


async def a_child_beside_a_listener(gate: Gate) -> None:
    helper = asyncio.create_task(deep_listener(gate))
    try:
        await asyncio.create_task(inner(gate))
    finally:
        helper.cancel()


#: Each scene, and where its request is, the scene's own function and the gate's left out.
SUSPENDED: dict[AsyncScene, list[str]] = {
    inner: [],
    nested_coroutines: ["middle", "inner"],
    async_for: ["generator", "inner"],
    async_for_through_another: ["outer_generator", "generator", "inner"],
    asend: ["generator", "inner"],
    athrow: ["catching_generator", "inner"],
    aclose: ["closing", "inner"],
    anext_with_default: ["generator", "inner"],
    async_with: ["manager", "inner"],
    leaving_async_with: ["__aexit__", "inner"],
    awaitable_that_delegates: ["inner"],
    awaitable_that_generates: ["__await__", "inner"],
    gather: ["middle", "inner"],
    gather_in_gather: ["middle", "inner"],
    created_task: ["middle", "inner"],
    task_of_a_task: ["created_task", "middle", "inner"],
    wait_for: ["middle", "inner"],
    shield: ["middle", "inner"],
    wait_for_shield: ["middle", "inner"],
    wait: ["middle", "inner"],
    as_completed: ["middle", "inner"],
    anyio_group: ["middle", "inner"],
    anyio_timeout: ["middle", "inner"],
    with_a_listener: [],
    a_child_beside_a_listener: ["inner"],
}

if sys.version_info >= (3, 11):

    async def timeout(gate: Gate) -> None:
        async with asyncio.timeout(30):
            await middle(gate)

    async def task_group(gate: Gate) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(middle(gate))

    async def task_group_in_a_group(gate: Gate) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(task_group(gate))

    async def task_of_a_group_awaited_in_it(gate: Gate) -> None:
        async with asyncio.TaskGroup() as group:
            await group.create_task(middle(gate))

    SUSPENDED |= {
        timeout: ["middle", "inner"],
        task_group: ["middle", "inner"],
        task_group_in_a_group: ["task_group", "middle", "inner"],
        task_of_a_group_awaited_in_it: ["middle", "inner"],
    }

if sys.version_info >= (3, 12):

    async def eager_task(gate: Gate) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.Task(middle(gate), loop=loop, eager_start=True)

    SUSPENDED |= {eager_task: ["middle", "inner"]}


def scenes(table: dict[Any, list[str]]) -> pytest.MarkDecorator:
    """A test for each scene of a table."""
    return pytest.mark.parametrize(
        ("scene", "inside"), table.items(), ids=[getattr(scene, "__name__", "?") for scene in table]
    )


@scenes(SUSPENDED)
def test_a_request_that_waits_is_found_where_it_waits(scene: AsyncScene, inside: list[str]) -> None:
    sample = asyncio.run(beside(scene, [*inside, "waits"]))
    assert (sample.state, sample.thread_id) == (State.WAITING, 0)


# On worker threads.


def work(gate: Gate) -> None:
    gate.blocks()


def deeper_work(gate: Gate) -> None:
    work(gate)


async def to_thread(gate: Gate) -> None:
    await asyncio.to_thread(deeper_work, gate)


async def executor_without_context(gate: Gate) -> None:
    await asyncio.get_running_loop().run_in_executor(None, deeper_work, gate)


async def executor_of_its_own(gate: Gate) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        await asyncio.get_running_loop().run_in_executor(pool, functools.partial(deeper_work, gate))


async def executor_with_context(gate: Gate) -> None:
    context = contextvars.copy_context()
    await asyncio.get_running_loop().run_in_executor(None, functools.partial(context.run, deeper_work, gate))


async def executor_in_a_child(gate: Gate) -> None:
    await asyncio.gather(executor_without_context(gate), asyncio.sleep(0))


async def executor_shielded(gate: Gate) -> None:
    await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, deeper_work, gate))


async def executor_with_a_timeout(gate: Gate) -> None:
    await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, deeper_work, gate), 30)


async def executor_shielded_with_a_timeout(gate: Gate) -> None:
    await asyncio.wait_for(asyncio.shield(asyncio.get_running_loop().run_in_executor(None, deeper_work, gate)), 30)


async def wrapped_future(gate: Gate) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        await asyncio.wrap_future(pool.submit(deeper_work, gate))


async def anyio_thread(gate: Gate) -> None:
    await anyio.to_thread.run_sync(deeper_work, gate)


async def asgiref_thread(gate: Gate) -> None:
    await sync_to_async(deeper_work, thread_sensitive=False)(gate)


async def asgiref_sensitive_thread(gate: Gate) -> None:
    await sync_to_async(deeper_work, thread_sensitive=True)(gate)


def submits_and_waits(gate: Gate) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(deeper_work, gate).result()


async def pool_in_a_thread(gate: Gate) -> None:
    await asyncio.to_thread(submits_and_waits, gate)


WORKING: dict[AsyncScene, list[str]] = {
    to_thread: ["deeper_work", "work"],
    executor_without_context: ["deeper_work", "work"],
    executor_of_its_own: ["deeper_work", "work"],
    executor_with_context: ["deeper_work", "work"],
    executor_in_a_child: ["executor_without_context", "deeper_work", "work"],
    executor_shielded: ["deeper_work", "work"],
    executor_with_a_timeout: ["deeper_work", "work"],
    executor_shielded_with_a_timeout: ["deeper_work", "work"],
    wrapped_future: ["deeper_work", "work"],
    anyio_thread: ["deeper_work", "work"],
    asgiref_thread: ["deeper_work", "work"],
    asgiref_sensitive_thread: ["deeper_work", "work"],
    pool_in_a_thread: ["submits_and_waits", "deeper_work", "work"],
}


@scenes(WORKING)
def test_a_request_whose_work_is_on_a_worker_thread_is_found_there(scene: AsyncScene, inside: list[str]) -> None:
    sample = asyncio.run(beside(scene, [*inside, "blocks"]))
    assert sample.state is State.ON_THREAD
    assert sample.thread_id != threading.get_ident()


# A worker that goes back to the loop.


def back_by_anyio(gate: Gate) -> None:
    anyio.from_thread.run(middle, gate)


async def anyio_from_thread(gate: Gate) -> None:
    await anyio.to_thread.run_sync(back_by_anyio, gate)


def back_by_asgiref(gate: Gate) -> None:
    async_to_sync(middle)(gate)


async def asgiref_there_and_back(gate: Gate) -> None:
    await sync_to_async(back_by_asgiref)(gate)


async def asgiref_there_and_back_insensitive(gate: Gate) -> None:
    await sync_to_async(back_by_asgiref, thread_sensitive=False)(gate)


def loop_of_its_own(gate: Gate) -> None:
    asyncio.run(middle(gate))


async def loop_in_a_thread(gate: Gate) -> None:
    await asyncio.to_thread(loop_of_its_own, gate)


THERE_AND_BACK: dict[AsyncScene, list[str]] = {
    anyio_from_thread: ["back_by_anyio", "middle", "inner"],
    asgiref_there_and_back: ["back_by_asgiref", "middle", "inner"],
    asgiref_there_and_back_insensitive: ["back_by_asgiref", "middle", "inner"],
    loop_in_a_thread: ["loop_of_its_own", "middle", "inner"],
}


@scenes(THERE_AND_BACK)
def test_a_worker_that_waits_for_a_task_leads_on_to_it(scene: AsyncScene, inside: list[str]) -> None:
    asyncio.run(beside(scene, [*inside, "waits"]))


# Requests on their own thread.


def in_itself(gate: Gate) -> None:
    deeper_work(gate)


def submit_and_result(gate: Gate) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(deeper_work, gate).result()


def submit_and_exception(gate: Gate) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(deeper_work, gate).exception(timeout=30)


def submit_with_context(gate: Gate) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(contextvars.copy_context().run, deeper_work, gate).result()


def pool_map(gate: Gate) -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(deeper_work, [gate]))


def futures_wait(gate: Gate) -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        concurrent.futures.wait([pool.submit(deeper_work, gate)])


def futures_as_completed(gate: Gate) -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for _ in concurrent.futures.as_completed([pool.submit(deeper_work, gate)]):
            pass


def start_and_join(gate: Gate) -> None:
    thread = threading.Thread(target=deeper_work, args=(gate,))
    thread.start()
    thread.join()


def start_with_context_and_join(gate: Gate) -> None:
    thread = threading.Thread(target=contextvars.copy_context().run, args=(deeper_work, gate))
    thread.start()
    thread.join(timeout=30)


ON_THREAD: dict[SyncScene, list[str]] = {
    in_itself: ["deeper_work", "work"],
    submit_and_result: ["deeper_work", "work"],
    submit_and_exception: ["deeper_work", "work"],
    submit_with_context: ["deeper_work", "work"],
    pool_map: ["deeper_work", "work"],
    futures_wait: ["deeper_work", "work"],
    futures_as_completed: ["deeper_work", "work"],
    start_and_join: ["deeper_work", "work"],
    start_with_context_and_join: ["deeper_work", "work"],
}


@contextmanager
def on_threads(gate: Gate, count: int, **requests: Callable[[], object]) -> Iterator[dict[str, Place]]:
    """Handle these requests, each on a thread of its own, until so many are held."""
    places = {name: Place() for name in requests}
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool, opened_at_last(gate):
        done = [pool.submit(handle, places[name], scene) for name, scene in requests.items()]
        wait_until(lambda: gate.reached >= count or any(each.done() for each in done))
        yield places
        gate.open()
        for each in done:
            each.result(20)


def foreign_view(gate: Gate) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(foreign_work, gate).result()


@scenes(ON_THREAD)
def test_a_request_on_its_own_thread_is_found_with_the_threads_it_waits_for(
    scene: SyncScene, inside: list[str]
) -> None:
    gate = Gate()
    requests = {"mine": lambda: scene(gate), "other": lambda: foreign_view(gate)}
    with on_threads(gate, 2, **requests) as places:
        # From being held to being blocked there is a moment, for the thread that waits.
        wait_until(lambda: find(places["mine"]) == ["<lambda>", scene.__name__, *inside, "blocks"], 5)
        wait_until(lambda: find(places["other"]) == ["<lambda>", "foreign_view", "foreign_work", "blocks"], 5)


def sync_view_calls_async(gate: Gate) -> None:
    async_to_sync(middle)(gate)


def sync_view_runs_a_loop(gate: Gate) -> None:
    asyncio.run(middle(gate))


async def awaits_sync(gate: Gate) -> None:
    await sync_to_async(deeper_work)(gate)


def sync_async_sync(gate: Gate) -> None:
    async_to_sync(awaits_sync)(gate)


SYNC_TO_ASYNC: dict[SyncScene, list[str]] = {
    sync_view_calls_async: ["middle", "inner", "waits"],
    sync_view_runs_a_loop: ["middle", "inner", "waits"],
    sync_async_sync: ["awaits_sync", "deeper_work", "work", "blocks"],
}


@scenes(SYNC_TO_ASYNC)
def test_a_request_on_its_own_thread_that_runs_a_loop_is_found_in_its_tasks(
    scene: SyncScene, inside: list[str]
) -> None:
    gate = Gate()
    with on_threads(gate, 1, mine=lambda: scene(gate)) as places:
        wait_until(lambda: find(places["mine"]) == ["<lambda>", scene.__name__, *inside], 5)


def test_a_thread_that_a_request_started_without_context_and_left_alone_is_not_shown() -> None:
    gate = Gate()

    def view() -> None:
        thread = threading.Thread(target=foreign_work, args=(gate,))
        thread.start()
        deeper_work(gate)
        thread.join()

    with on_threads(gate, 2, mine=view) as places:
        assert find(places["mine"]) == ["view", "deeper_work", "work", "blocks"]


# Running.


class Probe:
    """Looks, from the very code that is looked for.

    Attributes:
        found: where the request was.
    """

    def __init__(self, place: Place) -> None:
        self.found: list[list[str] | None] = []
        self.samples: list[Sample | None] = []
        self._place = place
        self._locator = Locator(ThreadClocks())

    def look(self) -> None:
        """Look now."""
        self.samples.append(self._locator.look().locate(self._place))
        self.found.append(names(self.samples[-1]))


async def run_inner(probe: Probe) -> None:
    probe.look()
    await asyncio.sleep(0)
    probe.look()


async def run_nested(probe: Probe) -> None:
    await run_inner(probe)


async def run_child(probe: Probe) -> None:
    await asyncio.create_task(run_nested(probe))


async def run_gathered(probe: Probe) -> None:
    await asyncio.gather(asyncio.sleep(0.01), run_nested(probe))


async def run_group(probe: Probe) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(run_nested, probe)


async def run_generator(probe: Probe) -> None:
    async def numbers() -> AsyncIterator[int]:
        await run_inner(probe)
        yield 1

    async for _ in numbers():
        pass


async def run_unawaited(probe: Probe) -> None:
    """A task that runs beats the wait of the one that made it."""
    helper = asyncio.create_task(run_nested(probe))
    await asyncio.sleep(0.02)
    await helper


RUNNING: dict[Callable[[Probe], Awaitable[None]], list[str]] = {
    run_inner: [],
    run_nested: ["run_inner"],
    run_child: ["run_nested", "run_inner"],
    run_gathered: ["run_nested", "run_inner"],
    run_group: ["run_nested", "run_inner"],
    run_generator: ["numbers", "run_inner"],
    run_unawaited: ["run_nested", "run_inner"],
}

if sys.version_info >= (3, 12):

    async def run_eager(probe: Probe) -> None:
        await asyncio.Task(run_nested(probe), loop=asyncio.get_running_loop(), eager_start=True)

    async def run_eager_in_a_child(probe: Probe) -> None:
        await asyncio.create_task(run_eager(probe))

    RUNNING |= {
        run_eager: ["run_nested", "run_inner"],
        run_eager_in_a_child: ["run_eager", "run_nested", "run_inner"],
    }


@scenes(RUNNING)
def test_a_task_that_runs_is_found_where_it_runs(
    scene: Callable[[Probe], Coroutine[Any, Any, None]], inside: list[str]
) -> None:
    async def main() -> None:
        place, foreign, gate = Place(), Place(), Gate()
        other = asyncio.create_task(serve(foreign, foreign_request(gate)))
        with opened_at_last(gate):
            await held(gate, 3)
            probe = Probe(place)
            await asyncio.create_task(serve(place, scene(probe)))
            assert probe.found == [[scene.__name__, *inside, "look"]] * 2
            for sample in probe.samples:
                assert sample is not None
                assert (sample.state, sample.thread_id) == (State.ON_THREAD, threading.get_ident())
        await other

    asyncio.run(main())


def test_a_task_that_runs_is_found_at_once_among_thousands_that_are_not_known_yet() -> None:
    async def main() -> None:
        gate, place = Gate(), Place()
        crowd = [asyncio.create_task(foreign_child(gate)) for _ in range(5_000)]
        with opened_at_last(gate):
            await held(gate, len(crowd))
            probe = Probe(place)
            # Its first task awaits an event of the group's, not the task that runs.
            await asyncio.create_task(serve(place, run_group(probe)))
            assert probe.found[0] == ["run_group", "run_nested", "run_inner", "look"]
        await asyncio.gather(*crowd)

    asyncio.run(main())


if sys.version_info >= (3, 12):

    def test_under_an_eager_task_factory_requests_are_found_too() -> None:
        async def main() -> None:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            for scene in (gather, created_task, task_of_a_task, wait, wait_for):
                await beside(scene, [*SUSPENDED[scene], "waits"])

        asyncio.run(main())


async def until_set(gate: asyncio.Future[None]) -> None:
    await gate


async def for_a_while(gate: asyncio.Future[None]) -> None:
    await asyncio.sleep(0.02)


async def on_an_executor(gate: asyncio.Future[None]) -> None:
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.02)


async def on_a_thread(gate: asyncio.Future[None]) -> None:
    await asyncio.to_thread(time.sleep, 0.02)


async def gathered(gate: asyncio.Future[None]) -> None:
    await asyncio.gather(gate, gate)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("scene", [until_set, for_a_while, on_an_executor, on_a_thread, gathered])
def test_while_the_loop_is_busy_with_another_request_mine_is_queued(
    scene: Callable[[asyncio.Future[None]], Coroutine[Any, Any, None]],
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    """What it waited for is over, only the loop does not get to it."""

    async def main() -> None:
        place = Place()
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        locator = Locator(ThreadClocks())

        def state() -> State:
            sample = locator.look().locate(place)
            assert sample is not None
            return sample.state

        task = asyncio.create_task(serve(place, scene(gate)))
        await asyncio.sleep(0.005)
        found = [state()]
        gate.set_result(None)
        # Without a pause for the loop.
        wait_until(lambda: state() is State.QUEUED)
        await task
        # On a worker thread it is that one's stack, until it is over.
        assert found in ([State.WAITING], [State.ON_THREAD])

    run(main())


def test_two_requests_in_the_same_functions_are_each_found_in_their_own() -> None:
    async def left(gate: Gate) -> None:
        await asyncio.gather(inner(gate), asyncio.to_thread(work, gate))

    async def right(gate: Gate) -> None:
        await asyncio.create_task(middle(gate))

    async def main() -> None:
        gate, places = Gate(), [Place() for _ in range(6)]
        tasks = [
            asyncio.create_task(serve(place, (left, right)[number % 2](gate))) for number, place in enumerate(places)
        ]
        with opened_at_last(gate):
            await held(gate, 9)
            look = Locator(ThreadClocks()).look()
            found = [names(look.locate(place)) for place in places]
            del look
        await asyncio.gather(*tasks)
        assert found == [["left", "work", "blocks"], ["right", "middle", "inner", "waits"]] * 3

    asyncio.run(main())


def test_of_ten_requests_that_use_one_pool_each_is_found_with_its_own_work() -> None:
    gate = Gate()
    with concurrent.futures.ThreadPoolExecutor(10) as shared, opened_at_last(gate):

        def view(number: int) -> None:
            scope = {f"work_{number}": None}
            exec(f"def work_{number}(gate): gate.blocks()", scope)
            shared.submit(scope[f"work_{number}"], gate).result()  # type: ignore[arg-type]

        requests = {str(number): functools.partial(view, number) for number in range(10)}
        with on_threads(gate, 10, **requests) as places:
            for name, place in places.items():
                wait_until(lambda place=place: len(find(place) or []) == 2, 5)  # type: ignore[misc]
                sample = Locator(ThreadClocks()).look().locate(place)
                assert sample is not None
                functions = [code.co_name for code, _ in sample.positions if code.co_name.startswith("work_")]
                assert functions == [f"work_{name}"]


def test_what_begins_beside_what_a_request_awaits_is_found_soon_though_the_path_is_followed() -> None:
    """Its path leads to a timer; then a thread works in its context that nobody waits for."""

    async def main() -> None:
        gate, place, locator = Gate(), Place(), Locator(ThreadClocks())

        async def view() -> None:
            assert find(place, locator) == ["view", "find"]
            await asyncio.sleep(0.05)
            context = contextvars.copy_context()
            thread = threading.Thread(target=context.run, args=(work, gate))
            thread.start()
            await asyncio.sleep(0.05)
            thread.join()

        task = asyncio.create_task(serve(place, view()))
        with opened_at_last(gate):
            await asyncio.sleep(0.01)
            assert find(place, locator) == ["view"]
            await held(gate)
            assert ["view", "work", "blocks"] in [find(place, locator) for _ in range(4)]
        await task

    asyncio.run(main())


def test_what_works_for_what_a_request_awaits_is_found_at_once_though_others_were_before() -> None:
    """Each call is of another future, on another thread, after looks that followed the path to the one before."""

    async def main() -> None:
        place, locator = Place(), Locator(ThreadClocks())
        gates = [Gate() for _ in range(4)]
        foreign = Gate()

        async def view() -> None:
            for gate in gates:
                await asyncio.to_thread(work, gate)

        other = asyncio.create_task(serve(Place(), foreign_request(foreign)))
        task = asyncio.create_task(serve(place, view()))
        with opened_at_last(foreign, *gates):
            for gate in gates:
                await held(gate)
                assert [find(place, locator) for _ in range(3)] == [["view", "work", "blocks"]] * 3
                gate.open()
        await asyncio.gather(task, other)

    asyncio.run(main())


# Still there.


class NoClocks(ThreadClocks):
    """As on a platform that has none."""

    def used(self, thread_id: int) -> int | None:
        return None


@pytest.mark.parametrize("clocks", [ThreadClocks, NoClocks])
def test_a_request_that_moves_on_its_thread_is_found_at_each_of_its_places(clocks: type[ThreadClocks]) -> None:
    gates, locator = [Gate() for _ in range(3)], Locator(clocks())

    def first() -> None:
        gates[0].idles()
        second()

    def second() -> None:
        gates[1].idles()
        gates[2].idles()

    with on_threads(gates[0], 1, mine=first) as places:
        found = []
        for gate in gates:
            wait_until(lambda gate=gate: gate.reached)  # type: ignore[misc]
            wait_until(lambda: (find(places["mine"], locator) or [""])[-1] == "idles")
            found.append([find(places["mine"], locator) for _ in range(5)])
            gate.open()
    assert found == [[["first", "idles"]] * 5] + [[["first", "second", "idles"]] * 5] * 2


def test_one_of_several_tasks_that_goes_on_is_found_at_once_though_the_others_wait_as_before() -> None:
    async def main() -> None:
        place, locator, gate = Place(), Locator(ThreadClocks()), Gate()
        found: list[list[str] | None] = []

        async def second() -> None:
            await asyncio.sleep(0.05)
            looks()

        def looks() -> None:
            found.append(find(place, locator))

        async def view() -> None:
            await asyncio.gather(inner(gate), second())

        task = asyncio.create_task(serve(place, view()))
        with opened_at_last(gate):
            await held(gate)
            assert {tuple(find(place, locator) or ()) for _ in range(6)} == {("view", "inner", "waits")}
            await asyncio.sleep(0.1)
        await task
        assert found == [["view", "second", "looks", "find"]]

    asyncio.run(main())


def test_a_request_whose_awaited_task_is_done_is_queued_at_once_though_it_waited_as_before() -> None:
    async def main() -> None:
        place, locator, gate = Place(), Locator(ThreadClocks()), Gate()
        found: list[State] = []

        def look(_: object = None) -> None:
            sample = locator.look().locate(place)
            assert sample is not None
            found.append(sample.state)

        before = asyncio.create_task(foreign_child(gate))
        # Called before the request is: it awaits the task later.
        before.add_done_callback(look)

        async def view() -> None:
            await before

        task = asyncio.create_task(serve(place, view()))
        with opened_at_last(gate):
            await held(gate)
            look()
            look()
        await task
        assert found == [State.WAITING, State.WAITING, State.QUEUED]

    asyncio.run(main())


class Lazy:
    """As Django's ``request.user``, or what werkzeug has for the request: to be asked anything means work, or fails."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise LookupError("asked for its class")

    def __getattr__(self, name: str) -> Any:
        raise LookupError(f"asked for {name}")


async def lazy_argument(gate: Gate) -> None:
    await asyncio.get_running_loop().run_in_executor(None, lazy_work, gate, Lazy(), (Lazy(),))


async def lazy_callback(gate: Gate) -> None:
    helper = asyncio.create_task(inner(gate))
    helper.add_done_callback(functools.partial(lambda *_: None, Lazy()))
    await gate.waits()


def lazy_work(gate: Gate, *_: object) -> None:
    gate.blocks()


@scenes({lazy_argument: ["lazy_work", "blocks"], lazy_callback: ["waits"]})
def test_what_the_app_passes_on_is_never_asked_anything(scene: AsyncScene, inside: list[str]) -> None:
    async def main() -> None:
        gate, place = Gate(), Place()
        task = asyncio.create_task(serve(place, scene(gate)))
        with opened_at_last(gate):
            await held(gate)
            await asyncio.sleep(0.02)
            assert find(place) == [scene.__name__, *inside]
        await task

    asyncio.run(main())


def test_arguments_are_not_all_looked_through() -> None:
    async def main() -> None:
        gate, place, locator = Gate(), Place(), Locator(ThreadClocks())
        many = (None,) * 1_000_000

        async def view() -> None:
            await asyncio.get_running_loop().run_in_executor(None, lazy_work, gate, many)

        task = asyncio.create_task(serve(place, view()))
        with opened_at_last(gate):
            await held(gate)
            before = time.thread_time()
            for _ in range(10):
                find(place, locator)
            assert time.thread_time() - before < 0.1
        await task

    asyncio.run(main())


def test_while_anyio_is_being_imported_requests_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anyio._backends._asyncio", ModuleType("anyio._backends._asyncio"))
    monkeypatch.setitem(sys.modules, "asgiref.sync", ModuleType("asgiref.sync"))
    asyncio.run(beside(gather, [*SUSPENDED[gather], "waits"]))


def test_short_tasks_that_callbacks_make_are_found_though_the_others_wait_as_before() -> None:
    async def main() -> None:
        place, locator = Place(), Locator(ThreadClocks())
        found: list[list[str] | None] = []

        async def short() -> None:
            found.append(find(place, locator))

        async def view() -> None:
            loop = asyncio.get_running_loop()
            for after in (0.02, 0.03, 0.04):
                loop.call_later(after, lambda: asyncio.create_task(short()))
            await asyncio.sleep(0.1)

        task = asyncio.create_task(serve(place, view()))
        await asyncio.sleep(0.005)
        assert [find(place, locator), find(place, locator)] == [["view"]] * 2
        await task
        assert found == [["view", "short", "find"]] * 3

    asyncio.run(main())


def test_a_kind_of_task_that_tells_less_does_not_stop_the_search() -> None:
    class Own:
        """Registered with asyncio, as it allows."""

        def done(self) -> bool:
            return False

        def get_loop(self) -> asyncio.AbstractEventLoop:
            return asyncio.get_running_loop()

    async def main() -> None:
        gate, place, own = Gate(), Place(), Own()
        asyncio._register_task(own)  # type: ignore[arg-type]
        try:
            task = asyncio.create_task(serve(place, middle(gate)))
            with opened_at_last(gate):
                await held(gate)
                assert find(place) == ["middle", "inner", "waits"]
            await task
        finally:
            asyncio._unregister_task(own)  # type: ignore[arg-type]

    asyncio.run(main())


def test_what_a_worker_was_to_set_is_let_go_soon() -> None:
    class Result:
        pass

    async def main() -> None:
        place, locator, gate = Place(), Locator(ThreadClocks()), Gate()

        def works() -> Result:
            gate.blocks()
            return Result()

        async def view() -> weakref.ref[Result]:
            return weakref.ref(await asyncio.to_thread(works))

        results: list[weakref.ref[Result]] = []

        async def request() -> None:
            results.append(await view())
            for _ in range(8):
                # The worker's own frame lets go of it, too.
                await asyncio.sleep(0.01)
                assert find(place, locator) == ["request", "find"]
            assert results[0]() is None

        task = asyncio.create_task(serve(place, request()))
        with opened_at_last(gate):
            await held(gate)
            for _ in range(3):
                find(place, locator)
        await task

    asyncio.run(main())


class Bare:
    """A future of somebody's own, with no more than asyncio asks for."""

    __slots__ = ("_asyncio_future_blocking", "_callbacks", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asyncio_future_blocking = False
        self._callbacks: list[Any] = []

    def __await__(self) -> Generator[Bare, None, None]:
        self._asyncio_future_blocking = True
        yield self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, callback: Any, context: Any = None) -> None:
        self._callbacks.append((callback, context))

    def done(self) -> bool:
        return not self._callbacks

    def result(self) -> None:
        return None

    def finish(self) -> None:
        while self._callbacks:
            self._loop.call_soon(self._callbacks.pop()[0], self)


def test_a_request_that_awaits_a_future_of_somebodys_own_is_found_where_it_waits() -> None:
    async def main() -> None:
        place, locator = Place(), Locator(ThreadClocks())
        bare = Bare()

        async def below() -> None:
            await bare

        async def looks() -> None:
            await asyncio.sleep(0)
            found.append(find(place, locator))

        async def view() -> None:
            await asyncio.gather(below(), looks())

        found: list[list[str] | None] = []
        task = asyncio.create_task(serve(place, view()))
        await asyncio.sleep(0.005)
        found += [find(place, locator) for _ in range(3)]
        bare.finish()
        await task
        assert found == [["view", "looks", "find"], *[["view", "below", "__await__"]] * 3]

    asyncio.run(main())


def test_a_task_that_lets_others_go_first_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has torn the look, though it awaits nothing."""
    looks: list[object] = []

    def again(threads: dict[int, FrameType]) -> None:
        looks.append(threads)
        look_again(threads)

    monkeypatch.setattr("swprof_mw.profiling.locate.look.look_again", again)

    async def view() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        place = Place()
        task = asyncio.create_task(serve(place, view()))
        await asyncio.sleep(0)
        sample = Locator(ThreadClocks()).look().locate(place)
        assert names(sample) == ["view"]
        assert sample is not None
        assert sample.state is State.QUEUED
        assert len(looks) == 1
        await task

    asyncio.run(main())


# Helpers.


def keeper(gate: Gate) -> None:
    gate.idles()


def test_a_thread_that_keeps_a_pool_in_the_requests_context_does_not_take_the_requests_place() -> None:
    """The first request that needs the pool starts its keeper, which waits for ever in that request's context."""

    async def main() -> None:
        keeping, gate, place = Gate(), Gate(), Place()

        async def view(gate: Gate) -> None:
            context = contextvars.copy_context()
            thread = threading.Thread(target=context.run, args=(keeper, keeping))
            thread.start()
            await inner(gate)
            thread.join()

        task = asyncio.create_task(serve(place, view(gate)))
        with opened_at_last(gate, keeping):
            await held(gate)
            await held(keeping)
            assert find(place) == ["view", "inner", "waits"]
        await task

    asyncio.run(main())


def test_a_task_made_before_the_request_is_not_the_requests() -> None:
    async def main() -> None:
        gate, place = Gate(), Place()
        before = asyncio.create_task(foreign_child(gate))

        async def view() -> None:
            await asyncio.shield(before)

        task = asyncio.create_task(serve(place, view()))
        with opened_at_last(gate):
            await held(gate)
            assert find(place) == ["view"]
        await task

    asyncio.run(main())


def test_the_requests_own_task_is_shown_once_even_if_it_was_looked_at_before_it_was_noted() -> None:
    """Between becoming the current request and noting its task, a look may take the task for one of its children."""

    async def main() -> None:
        place, locator = Place(), Locator(ThreadClocks())
        found: list[list[str] | None] = []

        async def view() -> None:
            found.append(find(place, locator))

        async def request() -> None:
            current_request.set(place)
            locator.look().locate(place)
            place.frame, place.thread_id = sys._getframe(), threading.get_ident()
            locator.look().locate(place)
            place.enter_task(sys._getframe(), asyncio.current_task(), asyncio.get_running_loop())
            await view()

        await asyncio.create_task(request())
        assert found == [["view", "find"]]

    asyncio.run(main())


# Ends.


def test_a_request_that_has_not_begun_or_has_ended_is_nowhere() -> None:
    place = Place()
    assert find(place) is None
    handle(place, lambda: None)
    assert find(place) is None


def test_a_thread_that_serves_another_request_now_is_not_shown_for_the_one_before() -> None:
    """The frame noted is what counts, not the thread."""
    first, second = Place(), Place()
    found: list[list[str] | None] = []
    frame: list[Any] = []

    def view_of_first() -> None:
        frame.append(first.frame)

    def view_of_second() -> None:
        first.frame, first.thread_id = frame.pop(), threading.get_ident()
        found.append(find(first))
        first.frame = None

    handle(first, view_of_first)
    handle(second, view_of_second)
    assert found == [None]


def test_a_task_that_has_ended_is_not_looked_for() -> None:
    async def main() -> None:
        gate, place = Gate(), Place()

        async def view() -> None:
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(50)))
            await gate.waits()

        task = asyncio.create_task(serve(place, view()))
        locator = Locator(ThreadClocks())
        with opened_at_last(gate):
            await asyncio.sleep(0)
            find(place, locator)
            await held(gate)
            assert find(place, locator) == ["view", "waits"]
        await task
        locator.forget_ended()
        assert find(place, locator) is None

    asyncio.run(main())


def test_what_is_remembered_of_tasks_that_are_gone_does_not_grow_while_a_request_lasts() -> None:
    """A profiled request may last ten minutes, and the server makes tasks for others all the time."""

    async def main() -> None:
        place, locator, gate = Place(), Locator(ThreadClocks()), Gate()
        task = asyncio.create_task(serve(place, inner(gate)))
        with opened_at_last(gate):
            await held(gate)
            for _ in range(60):
                await asyncio.gather(*(asyncio.sleep(0) for _ in range(100)), look_at(locator, place))
            assert len(locator._sources.tasks._known) < 3_000
        await task

    async def look_at(locator: Locator, place: Place) -> None:
        find(place, locator)

    asyncio.run(main())


def test_the_tasks_of_a_long_request_that_are_done_are_not_remembered() -> None:
    async def main() -> None:
        place, locator = Place(), Locator(ThreadClocks())

        async def view() -> None:
            for _ in range(60):
                await asyncio.gather(*(asyncio.sleep(0) for _ in range(100)), look())

        async def look() -> None:
            find(place, locator)

        await asyncio.create_task(serve(place, view()))
        assert len(locator._sources.tasks._owned) < 3_000

    asyncio.run(main())


# Nothing is kept.


class Precious:
    """Something that the app holds in a variable."""


def holding(seen: list[weakref.ref[Precious]], gate: Gate) -> None:
    precious = Precious()
    seen.append(weakref.ref(precious))
    gate.blocks()


def test_after_a_look_nothing_of_the_apps_is_kept_alive() -> None:
    async def main() -> None:
        seen: list[weakref.ref[Precious]] = []
        gate, place, locator = Gate(), Place(), Locator(ThreadClocks())

        async def view() -> None:
            await asyncio.gather(
                asyncio.to_thread(holding, seen, gate),
                asyncio.get_running_loop().run_in_executor(None, holding, seen, gate),
            )

        task = asyncio.create_task(serve(place, view()))
        with opened_at_last(gate):
            await held(gate, 2)
            sample = locator.look().locate(place)
            assert (names(sample) or [])[-2:] == ["holding", "blocks"]
        await task
        # The sample is still there, and no collection of cycles was needed.
        assert sample is not None
        assert [reference() for reference in seen] == [None, None]

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def test_a_request_that_ends_after_the_last_look_is_not_kept() -> None:
    async def main() -> None:
        place, other, locator, gate = Place(), Place(), Locator(ThreadClocks()), Gate()
        reference = weakref.ref(other)
        tasks = [
            asyncio.create_task(serve(place, inner(gate))),
            asyncio.create_task(serve(other, foreign_request(gate))),
        ]
        with opened_at_last(gate):
            await held(gate, 4)
            assert find(place, locator) == ["inner", "waits"]
            locator.forget_ended()
        await asyncio.gather(*tasks)
        del other, tasks
        gc.collect()
        assert reference() is None

    asyncio.run(main())


def test_the_tasks_of_a_request_that_goes_on_are_found_again_after_a_rest() -> None:
    async def main() -> None:
        gate, place, locator = Gate(), Place(), Locator(ThreadClocks())

        async def view() -> None:
            await asyncio.gather(inner(gate))

        task = asyncio.create_task(serve(place, view()))
        with opened_at_last(gate):
            await held(gate)
            before = find(place, locator)
            locator.forget_ended()
            assert find(place, locator) == before == ["view", "inner", "waits"]
        await task

    asyncio.run(main())


def worker_loop(items: list[object], gate: Gate) -> None:
    """As a pool's thread: its variable is unset between two items, so that it keeps nothing alive."""
    item: object = items.pop()
    gate.blocks()
    del item
    gate.blocks()


def test_reading_a_variable_of_a_worker_does_not_keep_its_value_once_the_worker_has_let_go() -> None:
    first, second = Gate(), Gate()
    gates = iter([first, second])

    class Both(Gate):
        def blocks(self) -> None:
            next(gates).blocks()

    precious = Precious()
    reference = weakref.ref(precious)
    items: list[object] = [precious]
    del precious
    thread = threading.Thread(target=worker_loop, args=(items, Both()))
    thread.start()
    with opened_at_last(first, second):
        wait_until(lambda: first.reached)
        frame = next(
            frame
            for top in sys._current_frames().values()
            for frame in chain(top)
            if frame.f_code is worker_loop.__code__
        )
        assert passing(frame, "item", None) is reference()
        assert passing(frame, "nothing of that name", None) is None
        first.open()
        wait_until(lambda: second.reached)
        assert reference() is None
        del frame
    thread.join()


def chain(top: Any) -> Iterator[Any]:
    """A stack's frames, innermost first."""
    while top is not None:
        yield top
        top = top.f_back


def test_the_variables_of_a_module_are_left_alone() -> None:
    """Up to 3.12 they are the module's namespace itself, which must not be cleared."""
    scope: dict[str, Any] = {"sys": sys, "value": 7}
    exec(compile("frame = sys._getframe()", "<module>", "exec"), scope)
    assert local(scope["frame"], "value") is None
    assert scope["value"] == 7


def test_a_frame_that_is_being_traced_is_left_alone_where_its_debugger_would_share_the_dict() -> None:
    frame = sys._getframe()
    value = object()
    frame.f_trace = lambda *_: None
    try:
        assert local(frame, "value") is (None if sys.version_info < (3, 13) else value)
    finally:
        frame.f_trace = None
    assert local(frame, "value") is value


# Anything else.


def test_the_positions_are_those_of_the_lines_that_run() -> None:
    lines: list[int] = []
    place = Place()

    def view() -> None:
        lines.append(sys._getframe().f_lineno + 1)
        sample = Locator(ThreadClocks()).look().locate(place)
        assert sample is not None
        code, offset = next(each for each in sample.positions if each[0] is view.__code__)
        lines.extend(line for start, end, line in code.co_lines() if start <= offset < end and line is not None)

    handle(place, view)
    assert lines[0] == lines[1]


def test_a_request_inside_of_frames_without_end_is_found() -> None:
    place = Place()
    found: list[list[str] | None] = []

    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        else:
            found.append(find(place))

    handle(place, lambda: deep(300))
    assert found[0] is not None
    assert found[0].count("deep") == 301


def test_an_awaitable_that_is_none_of_pythons_own_ends_the_chain() -> None:
    class Odd:
        def __await__(self) -> Any:
            return iter([None, None, None])

    async def main() -> None:
        place = Place()

        async def view() -> None:
            await Odd()

        task = asyncio.create_task(serve(place, view()))
        await asyncio.sleep(0)
        assert find(place) == ["view"]
        await task

    asyncio.run(main())
