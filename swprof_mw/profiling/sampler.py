"""The thread that samples: one for all slots, awake only while a slot is taken."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from swprof_mw.clock import monotonic_ns
from swprof_mw.failures import guarded, note
from swprof_mw.log import fields
from swprof_mw.native import allocate_lock, sleep, start_new_thread
from swprof_mw.profiling.budget import Budget
from swprof_mw.profiling.grid import next_deadline
from swprof_mw.profiling.observer import Observation, Observer
from swprof_mw.profiling.sampler_settings import SamplerSettings
from swprof_mw.profiling.scheduling import ask_for_short_slices
from swprof_mw.profiling.stacks import Stacks
from swprof_mw.profiling.switch_interval import SwitchInterval
from swprof_mw.profiling.waiting import Waiting

if TYPE_CHECKING:
    from swprof_mw.profiling.execution import ProfileTaskExecutionContext
    from swprof_mw.profiling.locate.place import Place
    from swprof_mw.profiling.profiler import SegmentProfiler
    from swprof_mw.records import Snapshot

_NS = 1_000_000_000
#: The thread sleeps no longer than this, seconds: a task may ask for more than the system can wait.
_LONGEST_SLEEP = 3_600.0
#: A turn that failed is not tried again before so many seconds.
_AFTER_FAILURE = 0.01
#: So much earlier than a tick it is prepared, s: to wake and to get the GIL takes most of it, with others beside.
_LEAD = 0.001_2


class Sampler:
    """Samples the requests that hold a slot.

    A request's thread calls ``take``, ``wait`` and ``release`` and never waits for a sample. Deadlines are absolute,
    and all slots of a task share their ticks.

    Args:
        settings: what it is told.
        sink: takes a snapshot; False if it could not be kept.

    Attributes:
        taken: the requests that hold a slot now.
        late: samples that came more than one period late.
        refused: requests that found no free slot.
    """

    def __init__(self, settings: SamplerSettings, sink: Callable[[Snapshot], bool]) -> None:
        self.settings = settings
        self.taken: set[SegmentProfiler] = set()
        self.late = 0
        self.refused = 0
        self._sink = sink
        self._switch = SwitchInterval(settings.switch_interval)
        self._budget = Budget(settings.max_cpu)
        stacks = Stacks(settings.code_signature, settings.max_depth, settings.mark_waiting)
        self._observer = Observer(stacks, settings.mark_waiting)
        self._lock = allocate_lock()
        self._wake = allocate_lock()
        self._done = allocate_lock()
        self._running = False
        self._stopping = False
        self._inbox: deque[SegmentProfiler] = deque()
        self._live: list[SegmentProfiler] = []
        self._waiting = Waiting()

    # What a request's thread calls.

    def watch(self, place: Place) -> None:
        """A task matched a request, which is on the calling thread: note what only that thread can tell."""
        self._observer.watch(place)

    def prepare(self) -> None:
        """A task is there: start the thread, so that the first request that it matches need not wait for that."""
        self._start()

    def take(self, profiler: SegmentProfiler) -> None:
        """Give the request a slot, if one is free and its task has not sampled enough requests already."""
        profiler.closed = True
        if not profiler.context.reserve():
            return
        started = self._start()
        with self._lock:
            free = started and len(self.taken) < self.settings.max_parallel and not self._stopping
            if free:
                self.taken.add(profiler)
                self._switch.hold()
        if not free:
            self.refused += 1
            profiler.context.give_back()
            return
        profiler.closed = False
        profiler.was_taken = True
        profiler.due = monotonic_ns()
        self._inbox.append(profiler)
        self.wake()

    def wait(self, profiler: SegmentProfiler, due: int) -> None:
        """Let the request compete for a slot at ``due`` (monotonic ns), if it is still running then."""
        with self._lock:
            if not self._waiting.add(profiler, due):
                self.refused += 1
                profiler.closed = True
                return
            first = self._waiting.due == due
        if first:
            self._start()
            self.wake()

    def release(self, profiler: SegmentProfiler) -> None:
        """Give the slot back. Takes no lock: a finalizer may call it in the middle of anything."""
        self._observer.unwatch(profiler.span)
        if profiler in self.taken:
            self.taken.discard(profiler)
            self.wake()

    @property
    def waiting(self) -> int:
        """How many requests wait for their minimum duration, or have ended meanwhile."""
        return len(self._waiting)

    @property
    def stretch(self) -> int:
        """The factor by which periods are lengthened now, to keep to ``max_cpu``; 1: not at all."""
        return self._budget.stretch

    def holds(self, context: ProfileTaskExecutionContext) -> bool:
        """Whether a request of this task holds a slot, or has not been closed yet."""
        held = (*self.taken, *self._inbox, *self._live)
        return any(profiler.context is context for profiler in held)

    def wake(self) -> None:
        """Let the thread look at its work now, if there is one."""
        with contextlib.suppress(RuntimeError):  # it is awake already
            self._wake.release()

    def stop(self, timeout: float) -> None:
        """Close all that is being sampled and end the thread, waiting for it at most ``timeout`` seconds."""
        with self._lock:
            self._stopping = True
            running = self._running
        if running:
            self.wake()
            if self._done.acquire(True, timeout):
                self._done.release()

    def leave_behind(self) -> None:
        """In a forked child, where the thread is missing: put back what it would have put back."""
        self._switch.release()

    def _start(self) -> bool:
        """Start the thread if it does not run; False if the system allows none now."""
        if self._running:
            return True
        with self._lock:
            if not (self._running or self._stopping):
                self._done.acquire()
                try:
                    start_new_thread(self._run, ())
                except RuntimeError as error:
                    self._done.release()
                    extra = fields("sampler_unavailable", error=str(error))
                    note("nothing is sampled: no thread can be started (%s)", error, extra=extra)
                    return False
                self._running = True
        return True

    # The sampler's own thread.

    def _run(self) -> None:
        ask_for_short_slices()
        if not self._inbox:
            self._observer.warm_up()
        try:
            while not self._stopping:
                if not self._turn():
                    self._close_all()
                    sleep(_AFTER_FAILURE)
            self._close_all()
            with self._lock:
                self.taken.clear()
                self._switch.release()
        finally:
            self._done.release()

    def _sleep(self) -> None:
        """Until the next deadline or `wake`; awake a little earlier to prepare a tick."""
        seconds = self._seconds_to_next()
        if self._live:
            if seconds > _LEAD:
                if self._wake.acquire(True, seconds - _LEAD):
                    return
                self._observer.glance(self._live)
                seconds = self._seconds_to_next()
            with self._lock:
                self._switch.sharpen()
        if seconds:
            self._wake.acquire(True, seconds)

    def _seconds_to_next(self) -> float:
        """Until the next deadline; -1, which is forever, if there is none."""
        deadlines = [profiler.due for profiler in self._live]
        with self._lock:
            first = self._waiting.due
        if first is not None:
            deadlines.append(first)
        if not deadlines:
            return -1
        return min(max(min(deadlines) - monotonic_ns(), 0) / _NS, _LONGEST_SLEEP)

    @guarded("sampling")
    def _turn(self) -> bool:
        """Sleep until something is due, and do it. None instead of True if it failed: then nothing is sampled on."""
        self._sleep()
        # At once: those who lost the GIL to this thread would have it back in the middle of a look.
        with self._lock:
            self._switch.relax()
        now = monotonic_ns()
        self._admit_waiting(now)
        self._admit_taken(now)
        due = [profiler for profiler in self._live if profiler.due <= now]
        if due:
            for seen in self._observer.observe(due):
                self._keep(seen)
            self._budget.watch(now)
        self._retire(now)
        return True

    def _admit_waiting(self, now: int) -> None:
        """Requests whose minimum duration has passed compete for a slot."""
        while True:
            with self._lock:
                profiler = self._waiting.take(now)
            if profiler is None:
                return
            if not (profiler.ended_at or profiler.context.stopped):
                self.take(profiler)

    def _admit_taken(self, now: int) -> None:
        if self._inbox and not self._live:
            self._budget.start(now)
        while self._inbox:
            profiler = self._inbox[0]
            # In this order: `holds` finds it at any moment.
            self._live.append(profiler)
            self._inbox.popleft()
            profiler.start(now, self._sink)

    def _keep(self, seen: Observation) -> None:
        """Record what was seen, and say when to look next."""
        profiler, period = seen.profiler, seen.profiler.period * self._budget.stretch
        self.late += seen.time - profiler.due > period
        profiler.due = next_deadline(seen.time, period)
        # A request says that it has ended before it reads the time of its end: if it has not, this sample is earlier.
        if seen.stack is None or profiler.span.ended:
            return
        profiler.keep(seen.stack, seen.since, period)
        if seen.time - seen.since > period:
            profiler.hold(seen.time)

    def _retire(self, now: int) -> None:
        """Close the requests that have ended, whose task has, or that were sampled long enough."""
        over = [profiler for profiler in self._live if profiler.is_over(now, self.settings.max_duration)]
        for profiler in over:
            self._close(profiler, now)
        if not self._live:
            self._rest()

    @guarded("closing a request")
    def _close(self, profiler: SegmentProfiler, now: int) -> None:
        """End the sampling of this request, whatever goes wrong with it."""
        try:
            profiler.close(now)
        finally:
            self._live.remove(profiler)
            self.taken.discard(profiler)

    def _close_all(self) -> None:
        now = monotonic_ns()
        while self._inbox:
            self._live.append(self._inbox.popleft())
        for profiler in tuple(self._live):
            self._close(profiler, now)
        self._rest()

    def _rest(self) -> None:
        """Nothing is sampled for now."""
        with self._lock:
            if not self.taken:
                self._switch.release()
        self._observer.forget()
