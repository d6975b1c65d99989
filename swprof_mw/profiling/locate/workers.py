"""Worker threads: for whom each one works right now.

A worker's own Context cannot be read from another thread. But every way into a worker passes a function that holds the
Context it copied, or the future it will set, in a local variable: those functions are known here.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Collection, Container
from contextvars import Context
from itertools import islice
from types import BuiltinMethodType, CodeType, FrameType
from typing import Any, NamedTuple

from swprof_mw.profiling.clocks import ThreadClocks
from swprof_mw.profiling.locate.frames import Position, inward, local, look_again, passing
from swprof_mw.profiling.locate.place import Place, current_request
from swprof_mw.profiling.locate.registry import RUNNERS, Registry
from swprof_mw.profiling.locate.strand import State, Strand


class Work(NamedTuple):
    """What one worker thread does, and for whom.

    Attributes:
        strand: inside of the worker's entry.
        owner: the request of the Context that the work runs in, if it has one.
    """

    strand: Strand
    owner: Place | None


#: What the local variables of an entry frame tell: the Context of the work, and the future that it sets. The second
#: frame is the one that it has called.
Entry = Callable[[FrameType, FrameType | None], tuple[Context | None, Any]]


def _from_item(frame: FrameType, _: FrameType | None) -> tuple[Context | None, Any]:
    """``_WorkItem.run`` of ``concurrent.futures`` and of asgiref's own executor."""
    item = local(frame, "self")
    call = getattr(item, "task", None) or (getattr(item, "fn", None), *getattr(item, "args", ()))
    return _context_in(call), getattr(item, "future", None)


def _from_anyio(frame: FrameType, inside: FrameType | None) -> tuple[Context | None, Any]:
    """``WorkerThread.run``: ``context`` and ``future`` of the item in work; its variables are unset between items."""
    return _as_context(local(frame, "context")), passing(frame, "future", inside)


def _from_asgiref(frame: FrameType, _: FrameType | None) -> tuple[Context | None, Any]:
    """``SyncToAsync.thread_handler``: ``func`` is ``Context.run``."""
    return _bound_to(local(frame, "func")), None


def _from_thread(frame: FrameType, _: FrameType | None = None) -> tuple[Context | None, Any]:
    """``Thread.run``: the target may be ``Context.run``; from 3.14 on a thread may have a context of its own."""
    thread = local(frame, "self")
    inherited = _as_context(getattr(thread, "_context", None))
    return inherited or _context_in((getattr(thread, "_target", None),)), None


_ENTRIES: tuple[tuple[str, str, Entry], ...] = (
    ("concurrent.futures.thread", "_WorkItem.run", _from_item),
    ("asgiref.current_thread_executor", "_WorkItem.run", _from_item),
    ("anyio._backends._asyncio", "WorkerThread.run", _from_anyio),
    ("asgiref.sync", "SyncToAsync.thread_handler", _from_asgiref),
    ("threading", "Thread.run", _from_thread),
)

#: Functions that block a thread until another strand is done, and the local variable that names it.
_BLOCKING: tuple[tuple[str, str, str], ...] = (
    ("concurrent.futures._base", "Future.result", "self"),
    ("concurrent.futures._base", "Future.exception", "self"),
    ("concurrent.futures._base", "wait", "fs"),
    ("concurrent.futures._base", "as_completed", "pending"),
    ("asgiref.current_thread_executor", "CurrentThreadExecutor.run_until_future", "future"),
    ("threading", "Thread.join", "self"),
)
#: The blocking function is among so many innermost frames.
_BLOCKED_WITHIN = 8

#: Looks for which it is remembered what threads did, while nobody asks.
_KEPT = 4
#: Of the arguments of a call, so many are looked at, and of all that are in them.
_ARGUMENTS = 16
_PARTS = 64

#: Where a thread waits for anything that is not known here: what a worker does there is no work.
_IDLE = ("threading", "Condition.wait", "self")

#: Functions that run an event loop, or other threads' calls, until a future is done, and the local variable that names
#: it: what the thread does inside is those tasks' and calls' business, and its own work is held up by that future.
_LOOPS = (
    ("asyncio.base_events", "BaseEventLoop.run_until_complete", "future"),
    ("asyncio.runners", "Runner.run", "task"),
    ("asgiref.current_thread_executor", "CurrentThreadExecutor.run_until_future", "future"),
)


def _code(module: str, name: str) -> CodeType | None:
    """The code of a function of a module that the app has loaded; None where it has not, or has another version."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return getattr(found, "__code__", None)


def _is_loading(module: str) -> bool:
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


# Never by `isinstance` or an attribute: what the app passes to its workers may be lazy, and do anything when asked.


def _as_context(found: Any) -> Context | None:
    return found if type(found) is Context else None


def _bound_to(function: Any) -> Context | None:
    """The Context whose ``run`` this is."""
    return _as_context(function.__self__) if type(function) is BuiltinMethodType else None


def _context_in(call: Any) -> Context | None:
    """The Context whose ``run`` is called, directly or inside of ``functools.partial``, or passed as an argument."""
    parts = [call]
    for part in parts:
        context = _bound_to(part)
        if context is not None:
            return context
        if issubclass(type(part), functools.partial):
            parts += (part.func, *part.args[:_ARGUMENTS], *islice(part.keywords.values(), _ARGUMENTS))
        elif type(part) is tuple:
            parts += part[:_ARGUMENTS]
        if len(parts) > _PARTS:
            break
    return None


class Workers:
    """Reads what the process's worker threads do. The functions known are looked up anew when modules were loaded.

    Args:
        clocks: of the threads.
        requests: those that are looked for. What is done for others is left out.
        registry: is told of the event loops that threads run.
    """

    def __init__(self, clocks: ThreadClocks, requests: Container[Place | None], registry: Registry) -> None:
        self._clocks = clocks
        self._requests = requests
        self._registry = registry
        self._modules = 0
        # By the code's id: hashing a code object reads all of it. The codes are held, so that ids stay theirs.
        self._codes: list[CodeType] = []
        self._entries: dict[int, Entry] = {}
        self._blocking: dict[int, str] = {}
        self._loops: dict[int, str] = {}
        self._known: set[int] = set()
        self._idle: dict[int, str] = {}
        self._thread_run = 0
        # What each thread does, and its processor time when that was so.
        self._seen: dict[int, tuple[int | None, list[Work]]] = {}
        self._unread = 0

    def refresh(self) -> None:
        """A look begins: look the known functions up, if the app has loaded modules since."""
        self._unread += 1
        if self._unread > _KEPT:
            # It holds the futures that the threads were to set.
            self.forget()
        if len(sys.modules) == self._modules:
            return
        # A module that is just being imported counts already, but does not have its functions yet.
        known = {module for module, *_ in (*_ENTRIES, *_BLOCKING, *_LOOPS)}
        self._modules = 0 if any(map(_is_loading, known)) else len(sys.modules)
        self.forget()
        self._codes = []
        self._entries = {self._hold(module, name): entry for module, name, entry in _ENTRIES}
        self._entries |= {self._hold(*method): self._registry.entry for method in RUNNERS}
        self._blocking = {self._hold(module, name): variable for module, name, variable in _BLOCKING}
        self._loops = {self._hold(module, name): variable for module, name, variable in _LOOPS}
        self._idle = {self._hold(*_IDLE[:2]): _IDLE[2]}
        self._known = {*self._entries, *self._loops}
        self._thread_run = self._hold("threading", "Thread.run")

    def _hold(self, module: str, name: str) -> int:
        code = _code(module, name)
        if code is not None:
            self._codes.append(code)
        return id(code)

    def blocked_on(self, top: FrameType) -> Any:
        """The future (or thread, or futures) that the thread with this innermost frame is blocked on, else None."""
        return self._blocked_in(self._blocking, top)

    @staticmethod
    def _blocked_in(functions: dict[int, str], top: FrameType) -> Any:
        frame: FrameType | None = top
        for _ in range(_BLOCKED_WITHIN):
            if frame is None:
                return None
            variable = functions.get(id(frame.f_code))
            if variable is not None:
                return local(frame, variable)
            frame = frame.f_back
        return None

    def read(self, threads: dict[int, FrameType], only: Collection[int] | None = None) -> list[Work]:
        """What the worker threads do now, for the requests that are looked for or for nobody that is known.

        A thread that is blocked, as most are, is not read again until it moves.

        Args:
            threads: by identifier, their innermost frames; those that run on are looked at again.
            only: the identifiers of those to read; None for all.
        """
        self._unread = 0
        if only is None:
            self._seen = {thread_id: seen for thread_id, seen in self._seen.items() if thread_id in threads}
        wanted = threads if only is None else threads.keys() & only
        used = {thread_id: self._clocks.used(thread_id) for thread_id in wanted}
        moved = [thread_id for thread_id, now in used.items() if now is None or self._moved_since(thread_id, now)]
        if moved:
            # After the clocks: what is remembered beside a time is never older than it.
            look_again(threads)
            for thread_id in moved:
                self._seen[thread_id] = (used[thread_id], self.on_thread(thread_id, threads[thread_id]))
        return [work for thread_id in used for work in self._seen[thread_id][1]]

    def used(self, thread_id: int) -> int | None:
        """The processor time of a thread, ns, when it was read; None if it was not, or has no clock."""
        return self._seen.get(thread_id, (None, []))[0]

    def _moved_since(self, thread_id: int, used: int) -> bool:
        seen = self._seen.get(thread_id)
        return seen is None or seen[0] != used

    def joined(self, thread: Any, threads: dict[int, FrameType]) -> Strand | None:
        """What a thread does that another one waits for the end of, inside of ``Thread.run``; None if it has ended."""
        top = threads.get(getattr(thread, "ident", None) or 0)
        frame = top
        while frame is not None and id(frame.f_code) != self._thread_run:
            frame = frame.f_back
        positions = inward(top, frame) if frame is not None else None
        if top is None or positions is None:
            return None
        return Strand(positions, State.ON_THREAD, thread.ident, self.blocked_on(top), thread)

    def forget(self) -> None:
        """Drop what is remembered of threads: it would be read otherwise now, or nobody asks any more."""
        self._seen.clear()

    def runs_others(self, positions: list[Position]) -> bool:
        """Whether a thread at these positions runs an event loop, or what other threads want of it."""
        return any(id(code) in self._loops for code, _ in positions)

    def on_thread(self, thread_id: int, top: FrameType, end: FrameType | None = None) -> list[Work]:
        """As ``read``, of one thread, moved or not; only inside of the frame ``end``, whose own strand is the last."""
        known = self._known
        frames: list[FrameType] = []
        marked: list[int] = []
        frame: FrameType | None = top
        # Most of a reading's cost: nothing else happens in here.
        while frame is not None and frame is not end:
            if id(frame.f_code) in known:
                marked.append(len(frames))
            frames.append(frame)
            frame = frame.f_back
        found: list[Work] = []
        loop: FrameType | None = None
        first = 0
        for at in marked:
            code = id(frames[at].f_code)
            if code in self._loops:
                first, loop = at, frames[at]
            if code in self._entries:
                context, future = self._entries[code](frames[at], frames[at - 1] if at else None)
                owner = context.get(current_request) if context is not None else None
                if owner in self._requests or (owner is None and future is not None):
                    found.append(Work(self._strand(thread_id, top, frames[first:at], loop, future), owner))
        if end is not None:
            found.append(Work(self._strand(thread_id, top, frames[first:], loop), None))
        return found

    def _strand(
        self, thread_id: int, top: FrameType, frames: list[FrameType], loop: FrameType | None, sets: Any = None
    ) -> Strand:
        """Of ``frames``, innermost first, which are ``top`` and those outside of it, or of a loop inside of them."""
        waits_on = self.blocked_on(top) or self._blocked_in(self._idle, top)
        if loop is not None:
            waits_on = local(loop, self._loops[id(loop.f_code)]) or waits_on
        positions = [(frame.f_code, frame.f_lasti) for frame in reversed(frames)]
        return Strand(positions, State.ON_THREAD, thread_id, waits_on, sets)
