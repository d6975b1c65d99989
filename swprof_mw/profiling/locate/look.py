"""One look at the process: each request's strands, put together into one stack."""

from __future__ import annotations

import asyncio
from types import FrameType
from typing import Any, NamedTuple

from swprof_mw.native import get_ident
from swprof_mw.profiling.clocks import ThreadClocks
from swprof_mw.profiling.locate import greenlets, tasks
from swprof_mw.profiling.locate.collection import NoCollection
from swprof_mw.profiling.locate.frames import Position, inward, look_again, positions_while
from swprof_mw.profiling.locate.links import Links, children
from swprof_mw.profiling.locate.memory import Memory, still
from swprof_mw.profiling.locate.place import Place
from swprof_mw.profiling.locate.strand import State, Strand
from swprof_mw.profiling.locate.workers import Work, Workers

#: Strands that are followed into each other, at the most.
_LONGEST_PATH = 16
#: So many looks a path is followed before it is searched anew: what works for a request, but not for what it awaits, is
#: not found earlier.
_FOLLOWED = 3
#: A look during which the app ran on is taken again, so often.
_RETRIES = 3


class Sample(NamedTuple):
    """Where a request is.

    Attributes:
        positions: outermost first: entry, awaits, the child task or worker thread that does the work.
        state: what the innermost strand does.
        thread_id: the native thread that it is on; 0 while it is suspended.
    """

    positions: list[Position]
    state: State
    thread_id: int


class Sources(NamedTuple):
    """Where requests are found, and what is remembered of each that was looked for."""

    clocks: ThreadClocks
    tasks: tasks.Tasks
    workers: Workers
    spawned: greenlets.Spawned
    requests: dict[Place, Memory]


class Look:
    """One look at all threads of the process. Their frames are held as long as this is.

    Args:
        sources: what is known already.
        used: the processor times of the requests' own threads, ns.
        here: where the calling thread is.
    """

    def __init__(self, sources: Sources, used: dict[int, int | None], here: FrameType) -> None:
        self._clocks, self._tasks, self._workers, self._spawned, self._requests = sources
        self._used = used
        self._here = here
        self._frames: dict[int, FrameType] | None = None
        self._work: list[Work] | None = None
        self._known_links: Links | None = None

    @property
    def _threads(self) -> dict[int, FrameType]:
        """By identifier, the innermost frames; taken when one is needed, which is not so where no request has moved."""
        if self._frames is None:
            self._frames = {get_ident(): self._here}
            look_again(self._frames)
        return self._frames

    @property
    def _links(self) -> Links:
        """Which strand holds up which; found out where a request may have moved."""
        if self._known_links is None:
            self._known_links = Links()
        return self._known_links

    def locate(self, place: Place) -> Sample | None:
        """Where the request is; None while none of its code runs or waits anywhere that is known."""
        if place.frame is None:
            return None
        memory = self._requests.get(place) or self._remember(place)
        sample = memory.sample(self._clocks, self._used) if not self._tasks.has_new(place) else None
        if sample is not None:
            return sample
        with NoCollection():
            return self._search_for(place, memory)

    def _search_for(self, place: Place, memory: Memory) -> Sample | None:
        """Where a request is that may have moved."""
        memory.still = None
        found = self._find(place, memory)
        for _ in range(_RETRIES):
            if found is None or not (self._tasks.registry.is_behind or self._is_torn(found[0], memory)):
                break
            self._look_again()
            found = self._find(place, memory)
        if found is None:
            return None
        path, waiting = found
        if self._is_torn(path, memory):
            memory.unresolved.add(id(path[-1].waits_on))
        sample = _compose(path)
        if _is_whole(path, waiting):
            # A task that runs is among those that wait, too.
            others = (strand for strand in waiting if strand not in path and strand.sets is not path[-1].sets)
            strands = [*others, *path]
            used = {strand.thread_id: self._used_by(strand) for strand in path}
            memory.still, memory.alone = still(sample, strands, used), not waiting
        return sample

    def _find(self, place: Place, memory: Memory) -> tuple[list[Strand], list[Strand]] | None:
        """The path to where the request is, and its own strands and tasks, if those count; None if it is nowhere."""
        own, hosted = self._own(place)
        if own is None:
            return None
        return ([own], []) if own.works else self._path(place, own, hosted, memory)

    def _used_by(self, strand: Strand) -> int | None:
        """The processor time of a strand's thread, not later than it was found; None if that is not known."""
        if isinstance(strand.sets, asyncio.Task):
            return None
        own = strand.thread_id in self._used
        return self._used[strand.thread_id] if own else self._workers.used(strand.thread_id)

    def _remember(self, place: Place) -> Memory:
        for ended in [known for known in self._requests if known.ended]:
            del self._requests[ended]
        self._requests[place] = memory = Memory()
        # What is done for this one was left out when they were read.
        self._workers.forget()
        self._work = None
        return memory

    def _is_torn(self, path: list[Strand], memory: Memory) -> bool:
        """Whether the app seems to have run on while it was looked at: the sampler may lose the GIL meanwhile.

        Then what works for the request was between two places: a task runs, but on no thread, or what the request
        waits for is nobody's work. The latter is also so where that cannot be found at all: once is enough.
        """
        last = path[-1]
        if last.works:
            return False
        if last.state is State.QUEUED and last.waits_on is None:
            return not last.yields
        return len(path) == 1 and last.state is State.ON_THREAD and id(last.waits_on) not in memory.unresolved

    def _look_again(self) -> None:
        look_again(self._threads)
        self._work = None
        self._known_links = None

    def _own(self, place: Place) -> tuple[Strand | None, list[Work]]:
        """The strand that the request began as, on its thread or its task; and what that thread does for others."""
        entry, task = place.frame, place.task
        if entry is None:
            return None, []
        if task is not None and tasks.is_known_to_be_suspended(task):
            return tasks.suspended(task, after=entry), []
        top = self._threads.get(place.thread_id)
        positions = inward(top, entry)
        if top is None or positions is None:
            if task is not None and tasks.is_running(task):
                return self._on_greenlet_of(place, task), []
            if task is not None:
                return tasks.suspended(task, after=entry), []
            return greenlets.suspended(place.greenlet, after=entry), []
        if task is not None:
            return Strand(positions, State.ON_THREAD, place.thread_id, sets=task), []
        if self._workers.runs_others(positions):
            *hosted, (own, _) = self._workers.on_thread(place.thread_id, top, entry)
            own.sets = place.greenlet
            return own, hosted
        waits_on = self._workers.blocked_on(top)
        return Strand(positions, State.ON_THREAD, place.thread_id, waits_on, place.greenlet), []

    def _on_greenlet_of(self, place: Place, task: Any) -> Strand | None:
        """The strand of a task that runs a greenlet inside, as SQLAlchemy's asyncio extension does; else None.

        The greenlet's stack does not lead out to the task. So it is the task's only if the task runs both before and
        after that stack is found, and it is no event loop's.
        """
        positions = positions_while(place.thread_id, lambda: tasks.is_running(task))
        if positions is None or self._workers.runs_others(positions):
            return None
        return Strand(positions, State.ON_THREAD, place.thread_id, sets=task)

    def _path(self, place: Place, own: Strand, hosted: list[Work], memory: Memory) -> tuple[list[Strand], list[Strand]]:
        """The strands from the request's own to the one that works for it now; if none does, to what it waits for.

        Other requests' threads are not read as long as the path is whole with those that it led to before.

        Returns:
            The path, and all strands of the request that are no workers.
        """
        mine, spawned = self._tasks.of(place), self._spawned.of(place)
        found = [*map(tasks.suspended, mine), *map(greenlets.suspended, spawned)]
        waiting = [own, *(strand for strand in found if strand is not None)]
        running = tasks.running(mine, place, self._threads) or greenlets.running(spawned, place)
        if memory.left and self._work is None:
            memory.left -= 1
            path = self._search(place, waiting, running, hosted, self._workers.read(self._threads, memory.threads))
            if _is_whole(path, waiting):
                return path, waiting
        if self._work is None:
            self._work = self._workers.read(self._threads)
        path = self._search(place, waiting, running, hosted, self._work)
        memory.threads = {strand.thread_id for strand in path if strand is not running and strand not in waiting}
        memory.left = _FOLLOWED
        return path, waiting

    def _search(
        self, place: Place, waiting: list[Strand], running: Strand | None, hosted: list[Work], workers: list[Work]
    ) -> list[Strand]:
        # Of its own thread only what is inside of its entry.
        elsewhere = (work for work in workers if place.task is not None or work.strand.thread_id != place.thread_id)
        strands = [*waiting, *self._working_for(place, waiting, [*hosted, *elsewhere])]
        active = running or next((strand for strand in strands[1:] if strand.works), None)
        own = waiting[0]
        return self._outward(active, own, strands) if active is not None else self._inward(own, strands)

    def _working_for(self, place: Place, waiting: list[Strand], works: list[Work]) -> list[Strand]:
        """The workers that run in a copy of the request's Context, or set a future that one of its strands awaits."""
        found = [strand for strand, owner in works if owner is place]
        # What runs for another request is that one's, whoever else may wait for it.
        left = [strand for strand, owner in works if owner is None and strand.sets is not None]
        waiting = [*waiting, *found]
        while waiting:
            # Those may wait for workers in turn.
            joined = [self._workers.joined(strand.waits_on, self._threads) for strand in waiting if strand.joins]
            waiting = [*self._links.held_up_by(waiting, left), *(strand for strand in joined if strand is not None)]
            left = [strand for strand in left if strand not in waiting]
            found += waiting
        return found

    def _outward(self, active: Strand, own: Strand, strands: list[Strand]) -> list[Strand]:
        """The path that ends in ``active``, found from its end: who waits for it, who waits for that one."""
        path = [active]
        while path[0] is not own and len(path) < _LONGEST_PATH:
            waiting = (strand for strand in strands if strand not in path and self._waits(strand, path[0]))
            path.insert(0, next(waiting, own))
        return path

    def _inward(self, own: Strand, strands: list[Strand]) -> list[Strand]:
        """The path along what each strand waits for, while nothing runs."""
        path = [own]
        while len(path) < _LONGEST_PATH:
            awaited = [strand for strand in strands if strand not in path and self._waits(path[-1], strand)]
            if not awaited:
                break
            # Helpers that only listen have the shorter stacks.
            path.append(max(awaited, key=lambda strand: len(strand.positions)))
        return path

    def _waits(self, strand: Strand, other: Strand) -> bool:
        """Whether ``strand`` is held up by ``other``: a future, a task of its group, or a greenlet that it joins."""
        return self._links.waits(strand, other) or greenlets.waits(strand.sets, other.sets)


def _is_whole(path: list[Strand], waiting: list[Strand]) -> bool:
    """Whether a path leads to work, or none of the strands that wait does so for what a thread may bring about."""
    if path[-1].works:
        return True
    # Of several that are gathered, the path leads to one.
    followed = [strand for strand in path[:-1] if not children(strand.waits_on)]
    return not any(tasks.awaits_anything(strand) for strand in (*waiting, path[-1]) if strand not in followed)


def _compose(path: list[Strand]) -> Sample:
    positions = [position for strand in path for position in strand.positions]
    return Sample(positions, path[-1].state, path[-1].thread_id)
