"""Finds the requests that are sampled, and keeps what is known of each from look to look."""

from __future__ import annotations

import sys

from swprof_mw.profiling.clocks import ThreadClocks
from swprof_mw.profiling.locate import greenlets, tasks
from swprof_mw.profiling.locate.look import Look, Sources
from swprof_mw.profiling.locate.memory import Memory
from swprof_mw.profiling.locate.place import Place
from swprof_mw.profiling.locate.registry import Registry
from swprof_mw.profiling.locate.workers import Workers


class Locator:
    """Finds requests on threads, in tasks, on workers and greenlets. It keeps no frame between two ticks.

    Used by one thread, apart from ``watch`` and ``unwatch``.
    """

    def __init__(self, clocks: ThreadClocks) -> None:
        requests: dict[Place, Memory] = {}
        registry = Registry()
        workers = Workers(clocks, requests, registry)
        self._sources = Sources(clocks, tasks.Tasks(registry), workers, greenlets.Spawned(), requests)

    def watch(self, place: Place) -> None:
        """The request is to be located from now on. Called on its own thread."""
        self._sources.spawned.watch(place)

    def unwatch(self, place: Place) -> None:
        """The request has ended."""
        self._sources.spawned.unwatch(place)

    def runs_in_task(self, place: Place) -> bool:
        """Whether a task of the request is being executed at this moment."""
        return place.task is not None and self._sources.tasks.runs(place)

    def look(self) -> Look:
        """The process at this moment, for all requests that are to be located in it."""
        clocks, _, workers, _, requests = self._sources
        workers.refresh()
        # Before the frames, so that no frame is older than its thread's time.
        used = {place.thread_id: clocks.used(place.thread_id) for place in requests if place.task is None}
        # Not a frame further in: a circle from one that holds the `Look` would keep all threads' variables alive.
        return Look(self._sources, used, sys._getframe())

    def forget_ended(self) -> None:
        """Drop what was remembered of requests that have ended. Called while nothing is sampled."""
        _, tasks_, workers, spawned, requests = self._sources
        tasks_.forget_ended()
        workers.forget()
        spawned.forget()
        requests.clear()
