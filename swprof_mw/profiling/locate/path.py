"""What there is to say of a path: the strands from a request's own to the one that works for it."""

from __future__ import annotations

from swprof_mw.profiling.locate import tasks
from swprof_mw.profiling.locate.links import children
from swprof_mw.profiling.locate.memory import Memory
from swprof_mw.profiling.locate.strand import State, Strand


def is_torn(path: list[Strand], memory: Memory) -> bool:
    """Whether the app seems to have run on while it was looked at: the sampler may lose the GIL meanwhile.

    Then what works for the request was between two places: a task runs, but on no thread, or what the request
    waits for is nobody's work. The latter is also so where that cannot be found at all: once is enough.
    """
    last = path[-1]
    if last.works:
        return False
    if last.state is State.QUEUED and last.waits_on is None:
        return True
    return len(path) == 1 and last.state is State.ON_THREAD and id(last.waits_on) not in memory.unresolved


def is_whole(path: list[Strand], waiting: list[Strand]) -> bool:
    """Whether a path leads to work, or none of the strands that wait does so for what a thread may bring about."""
    if path[-1].works:
        return True
    # Of several that are gathered, the path leads to one.
    followed = [strand for strand in path[:-1] if not children(strand.waits_on)]
    return not any(tasks.awaits_anything(strand) for strand in (*waiting, path[-1]) if strand not in followed)
