"""Greenlets, as gevent runs requests on: several on one native thread, switched by hand."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from swprof_mw.failures import guarded
from swprof_mw.native import get_ident
from swprof_mw.profiling.locate.frames import inward, positions_of, positions_while
from swprof_mw.profiling.locate.place import Place, current_greenlet
from swprof_mw.profiling.locate.strand import State, Strand

Tracer = Callable[[str, Any], None]

#: So often a greenlet is looked at again that others took turns with in the middle of a look.
_RETRIES = 3


def suspended(greenlet: Any, after: FrameType | None = None) -> Strand | None:
    """The strand of a greenlet that is switched out, inside of the frame ``after``; None if it has no such frame."""
    top = getattr(greenlet, "gr_frame", None)
    if top is None:
        return None
    positions = positions_of(top) if after is None else inward(top, after)
    return Strand(positions, State.WAITING, sets=greenlet) if positions is not None else None


def waits(strand: Any, other: Any) -> bool:
    """Whether the greenlet ``strand`` spawned the greenlet ``other`` and somebody waits for that one's end."""
    has_links = getattr(other, "has_links", None)
    return has_links is not None and _spawner(other) is strand and bool(has_links())


class Spawned:
    """The greenlets that profiled requests spawn, seen by greenlet's tracer as they are switched to.

    There is one tracer a native thread: ours passes each event on to the one it found, and is taken off, by the
    thread itself, with the last profiled request on it.
    """

    def __init__(self) -> None:
        self._requests: dict[int, set[Place]] = {}
        self._ours: dict[int, _OurTracer] = {}
        self._seen: dict[int, weakref.ref[Any]] = {}

    def watch(self, place: Place) -> None:
        """A request on a greenlet is profiled from now on. Called on its own greenlet, perhaps before it was noted."""
        if place.task is None and place.greenlet is None:
            place.greenlet = current_greenlet()
        if place.greenlet is None:
            return
        thread_id = get_ident()
        self._requests.setdefault(thread_id, set()).add(place)
        ours = self._ours.get(thread_id)
        # Whoever was there before us may have taken ours off with its own; whoever came later may have ours below it,
        # or not: a second one of ours does no harm.
        if ours is None or not ours.is_on():
            self._ours[thread_id] = _OurTracer(self._note)

    def unwatch(self, place: Place) -> None:
        """The request has ended."""
        for requests in tuple(self._requests.values()):
            requests.discard(place)
        thread_id = get_ident()
        ours = self._ours.get(thread_id)
        if ours is not None and not self._requests.get(thread_id):
            self._take_off(ours)

    def of(self, place: Place) -> list[Any]:
        """The live greenlets that the request's code spawned, those they spawned included."""
        return [one for one in self._alive() if one is not place.greenlet and _descends(one, place.greenlet)]

    def forget(self) -> None:
        """Drop what was seen, but for requests that are to be sampled yet. Called while nothing is sampled."""
        if any(tuple(self._requests.values())):
            self._alive()
        else:
            self._seen.clear()

    def _alive(self) -> list[Any]:
        """Those seen that have not ended; the others are dropped."""
        found = []
        for key, reference in tuple(self._seen.items()):
            greenlet = reference()
            if greenlet is None or greenlet.dead:
                self._seen.pop(key, None)
            else:
                found.append(greenlet)
        return found

    @guarded("following greenlets")
    def _note(self, ours: _OurTracer, target: Any) -> None:
        if self._requests.get(get_ident()):
            known = self._seen.get(id(target))
            if known is None or known() is not target:
                self._seen[id(target)] = weakref.ref(target)
        else:
            # The last request ended elsewhere: only here may the tracer be taken off.
            self._take_off(ours)

    def _take_off(self, ours: _OurTracer) -> None:
        # Another tracer that came after ours, and passes on to it, stays.
        if ours.is_on():
            ours.take_off()
            if self._ours.get(get_ident()) is ours:
                del self._ours[get_ident()]


class _OurTracer:
    """One tracer of ours, on the thread that makes it; it passes each event on to the tracer that it found there."""

    def __init__(self, note: Callable[[_OurTracer, Any], None]) -> None:
        self._note = note
        self._greenlet = sys.modules["greenlet"]
        self._found: Tracer | None = self._greenlet.settrace(self)

    def __call__(self, event: str, arguments: Any) -> None:
        """greenlet's own call, at every switch on the thread. What it raises would be raised in the app's greenlet."""
        self._note(self, arguments[1])
        if self._found is not None:
            self._found(event, arguments)

    def is_on(self) -> bool:
        """Whether it is the one that greenlet calls."""
        return self._greenlet.gettrace() is self

    def take_off(self) -> None:
        """Put back the one that it found."""
        self._greenlet.settrace(self._found)


def running(children: list[Any], place: Place) -> Strand | None:
    """The strand of whichever of these greenlets runs right now; None if none does."""
    for child in children:
        for _ in range(_RETRIES):
            # The hub may switch to another request's meanwhile.
            positions = positions_while(place.thread_id, partial(_runs, child))
            if positions is not None:
                return Strand(positions, State.ON_THREAD, place.thread_id, sets=child)
            if not _runs(child):
                break
    return None


def _runs(greenlet: Any) -> bool:
    return greenlet.gr_frame is None and bool(greenlet)


def _spawner(greenlet: Any) -> Any:
    reference = getattr(greenlet, "spawning_greenlet", None)
    return reference() if reference is not None else None


def _descends(greenlet: Any, ancestor: Any) -> bool:
    for _ in range(16):
        greenlet = _spawner(greenlet)
        if greenlet is None or greenlet is ancestor:
            return greenlet is not None
    return False
