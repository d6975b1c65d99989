"""One profile task while it runs: which requests it samples, and how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swprof_mw.clock import NS_PER_MS, monotonic_ns
from swprof_mw.native import allocate_lock
from swprof_mw.profiling.profiler import ProfiledSpan, SegmentProfiler

if TYPE_CHECKING:
    from swprof_mw.profiling.sampler import Sampler
    from swprof_mw.profiling.task import ProfileTask


class ProfileTaskExecutionContext:
    """A task's run in this process, from ``start`` to ``end`` (monotonic ns).

    ``MaxSamplingCount`` is kept exactly: a request reserves its place before it takes a slot, uses the place up with
    its first kept snapshot, and gives it back if it ends without one.
    """

    def __init__(self, task: ProfileTask, sampler: Sampler, start: int, end: int) -> None:
        self.task = task
        self.start = start
        self.end = end
        self.stopped = False
        self._sampler = sampler
        self._lock = allocate_lock()
        self._reserved = 0
        self._used = 0

    def attempt_profiling(self, span: ProfiledSpan, name: str) -> None:
        """Sample the request if the task asks for ``name``: now, or once its minimum duration has passed."""
        now = monotonic_ns()
        if name != self.task.endpoint_name or self.stopped or not self.start <= now < self.end or self.exhausted:
            return
        span.profiler = profiler = SegmentProfiler(self, span)
        self._sampler.watch(span)
        due = span.start + self.task.min_duration_threshold * NS_PER_MS
        if due <= now:
            self._sampler.take(profiler)
        else:
            self._sampler.wait(profiler, due)

    def reserve(self) -> bool:
        """Keep a place of the task's sampling count for a request that is about to take a slot."""
        with self._lock:
            if self.stopped or self._used + self._reserved >= self.task.max_sampling_count:
                return False
            self._reserved += 1
            return True

    def use(self) -> None:
        """The request of a reserved place has its first snapshot: it counts."""
        with self._lock:
            self._reserved -= 1
            self._used += 1

    def give_back(self) -> None:
        """The request of a reserved place ended without a snapshot: another one may have the place."""
        with self._lock:
            self._reserved -= 1

    def release(self, profiler: SegmentProfiler) -> None:
        """A request of this task ended: its slot is free."""
        self._sampler.release(profiler)

    def stop(self) -> None:
        """Sample no more: waiting requests never begin, running ones are closed at their next tick."""
        self.stopped = True
        self._sampler.wake()

    def is_over(self, now: int) -> bool:
        """Whether its time (monotonic ns) is over, or its count used up with every profiled request ended."""
        return now >= self.end or (self.exhausted and not self._sampler.holds(self))

    @property
    def exhausted(self) -> bool:
        """Whether as many requests were sampled as the task asks for."""
        return self._used >= self.task.max_sampling_count
