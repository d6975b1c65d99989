"""What a snapshot shows: the code signatures of a sample, and whether the request waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swprof_mw.profiling.activity import WAITS, WORKED, WORKS, Doing
from swprof_mw.profiling.locate.frames import Position
from swprof_mw.profiling.locate.look import Sample
from swprof_mw.profiling.locate.strand import ON_THREAD, QUEUED_UP, State
from swprof_mw.profiling.signature import CodeSignatures

if TYPE_CHECKING:
    from swprof_mw.profiling.profiler import SegmentProfiler

#: The innermost signature of a request that was not working: it waits, or its awaited future is done and its event
#: loop is busy with others.
WAITING = "[waiting]"
QUEUED = "[queued]"

#: Places in code of which it is remembered whether threads wait there, at the most.
_PLACES = 10_000
#: A burst of work that was missed is shown where the request was last seen working, if that is so many periods ago.
_RECENT = 10


class Stacks:
    """Turns samples into stacks of code signatures.

    Args:
        code_signature: ``short`` or ``full``.
        max_depth: code signatures of a stack, the mark of a waiting request apart.
        mark_waiting: whether stacks of a waiting request say so.
    """

    def __init__(self, code_signature: str, max_depth: int, mark_waiting: bool) -> None:
        self._signatures = CodeSignatures(code_signature)
        self._max_depth = max_depth
        self._mark_waiting = mark_waiting
        # By place: how much more often a thread that was found there waited than worked.
        self._waits: dict[tuple[int, int], int] = {}

    def of(self, profiler: SegmentProfiler, sample: Sample, doing: Doing | None, due: int) -> tuple[str, ...]:
        """The stack of a sample, outermost first.

        Args:
            profiler: of its request.
            sample: where the request is.
            doing: what its thread does, or did; None if that is not known, or if it is on none.
            due: when the sample was due, monotonic ns.
        """
        positions, mark = sample.positions, _mark(sample.state, doing)
        if doing is WORKS:
            profiler.worked_at = (positions, due)
        elif doing is WORKED and (mark or self._is_waiting_place(positions)):
            # The GIL came free only when the burst of work was over: it is shown where it has been seen.
            worked, seen = profiler.worked_at
            if worked and due - seen <= _RECENT * profiler.period:
                positions, mark = worked, ""
        if sample.state is ON_THREAD:
            self._learn(positions, doing)
        texts = profiler.texts(self._signatures, positions)
        of_texts, of_mark, stack = profiler.shown
        if texts is not of_texts or mark != of_mark:  # else it is as it was
            stack = self._cut(profiler.context.task.endpoint_name, texts)
            if mark and self._mark_waiting:
                stack = (*stack, mark)
            profiler.shown = texts, mark, stack
        return stack

    def forget(self) -> None:
        """Drop what is remembered of places. Called while nothing is sampled."""
        self._waits.clear()

    def _learn(self, positions: list[Position], doing: Doing | None) -> None:
        if (doing is WAITS or doing is WORKS) and positions and len(self._waits) < _PLACES:
            place = _place(positions)
            self._waits[place] = self._waits.get(place, 0) + (1 if doing is WAITS else -1)

    def _is_waiting_place(self, positions: list[Position]) -> bool:
        return bool(positions) and self._waits.get(_place(positions), 0) > 0

    def _cut(self, root: str, texts: list[str]) -> tuple[str, ...]:
        """The request's root signature, constant, and the innermost frames as far as the depth allows."""
        if len(texts) < self._max_depth:
            return (root, *texts)
        kept = self._max_depth - 2
        return (root, f"[{len(texts) - kept} frames left out]", *texts[-kept:])


def _place(positions: list[Position]) -> tuple[int, int]:
    """Where a stack ends. By the code's id: hashing a code object reads all of it."""
    code, offset = positions[-1]
    return id(code), offset


def _mark(state: State, doing: Doing | None) -> str:
    """What the stack of a request that does not work ends in."""
    if state is QUEUED_UP:
        return QUEUED
    return WAITING if state is not ON_THREAD or doing is WAITS else ""
