"""One run of a generated ASGI call: the server and the app, which note what they see."""

from __future__ import annotations

import asyncio
from collections import UserDict
from collections.abc import Awaitable, Callable, Generator
from types import MappingProxyType
from typing import Any

from swprof_mw.profiling.locate.place import current_request
from tests.asgi_driver import http, websocket
from tests.generated.asgi_cases import ERRORS, Case, Step
from tests.generated.observed import VARIABLES, Log, ThrownIn, failure, handled
from tests.generated.wsgi_cases import MISSING

App = Callable[..., Awaitable[Any]]

#: Turns of the loop after which an app that still waits is cancelled.
PATIENCE = 40


class Scope(dict[str, Any]):
    """A server's own kind of dict."""


#: By the name of its kind.
MAPPINGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "dict": dict,
    "subclass": Scope,
    "user's": UserDict,
    "read only": MappingProxyType,
    "none": lambda scope: None,
}


class Turn:
    """One turn of whoever drives a coroutine, with or without a loop."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class World:
    """One run of a case: the server and its app, which note what they see.

    Attributes:
        log: what was seen.
        scope: what the app is called with.
    """

    def __init__(self, case: Case) -> None:
        self.log = Log()
        self._case = case
        self._calls = 0
        self._received = list(case.received)
        self._tasks: list[asyncio.Task[Any]] = []
        self._turn = 0
        self.scope = self._make_scope()

    def _make_scope(self) -> Any:
        case = self._case
        scope = websocket("/") if case.kind == "websocket" else http("/")
        scope["type"] = case.kind
        scope["headers"] = make_headers(case.header_kind, case.headers)
        scope.update(case.changes)
        kept = {key: value for key, value in scope.items() if not (isinstance(value, str) and value == MISSING)}
        return MAPPINGS[case.mapping](kept)

    # The server's side.

    def serve(self, app: App) -> None:
        """Call the app as the case says, and note how it ends."""
        if self._case.end in ("close", "throw"):
            self._by_hand(app)
        else:
            asyncio.get_event_loop().run_until_complete(self._in_loop(app))
        self.log.note("scope", told(self.scope))

    async def _in_loop(self, app: App) -> None:
        task = asyncio.ensure_future(self._guarded(app))
        for turn in range(PATIENCE):
            if task.done():
                break
            if self._case.end == "cancel" and turn == self._case.after:
                self.log.note("server cancels")
                task.cancel()
            self._turn = turn
            await asyncio.sleep(0)
        while not task.done():
            self.log.note("server gives up")
            task.cancel()
            await asyncio.wait([task], timeout=1)
        self.log.note("ended", task.cancelled())
        for child in self._tasks:
            child.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Whatever was left has ended too: asynchronous generators, callbacks.
        await asyncio.sleep(0)

    async def _guarded(self, app: App) -> None:
        try:
            result = await app(self.scope, self.receive, self.send)
        except BaseException as error:
            self.log.note("raised", failure(error), self._turn, current_request.get())
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            self.log.note("returned", result, self._turn, current_request.get())

    def _by_hand(self, app: App) -> None:
        done, coroutine = self.log.attempt("call", app, self.scope, self.receive, self.send)
        if not done:
            return
        for _ in range(self._case.after):
            if not self.log.attempt("step", coroutine.send, None)[0]:
                break
        if self._case.end == "throw":
            self.log.attempt("throw", coroutine.throw, ThrownIn("gone"))
        self.log.attempt("close", coroutine.close)

    async def receive(self) -> Any:
        """The server's."""
        await self._call("receive")
        while not self._received:
            await Turn()
        return dict(self._received.pop(0))

    async def send(self, message: Any) -> None:
        """The server's."""
        told_headers = list(message["headers"] or ()) if "headers" in message else None
        pairs = [tuple(pair) for pair in told_headers] if isinstance(told_headers, list) else None
        rest = {key: value for key, value in message.items() if key != "headers"}
        self.log.note("sent", repr(rest), pairs, handled(), self._turn)
        await self._call("send")

    async def _call(self, name: str) -> None:
        number = self._calls
        self._calls += 1
        self.log.note(name, number, self._turn)
        if number in self._case.meddles:
            self.log.attempt("meddle", change, self.scope, *self._case.meddles[number])
        for _ in range(self._case.turns):
            await Turn()
        if number in self._case.hurdles:
            raise ERRORS[self._case.hurdles[number]]()

    # The app's side.

    async def app(self, scope: Any, receive: Any, send: Any) -> str:
        """Do what the case says."""
        self._app_scope = scope
        self._app_receive = receive
        self._app_send = send
        self.log.note("called", told(scope), handled(), self._in_task())
        await self._run(self._case.app)
        return "the app's result"

    def _in_task(self) -> bool:
        try:
            return asyncio.current_task() is not None
        except RuntimeError:
            return False

    async def _run(self, steps: list[Step]) -> None:
        for step in steps:
            kind, *rest = step
            self.log.note("step", kind, handled(), self._turn)
            if kind == "return":
                return
            await self._do(kind, *rest)

    async def _do(self, kind: str, *rest: Any) -> None:
        if kind == "receive":
            self.log.note("got", await self._app_receive(), told(self._app_scope))
        elif kind == "send":
            message, header_kind, pairs = rest
            headers = {} if header_kind == "none" else {"headers": make_headers(header_kind, pairs)}
            self.log.note("send returned", await self._app_send({**headers, **message}), told(self._app_scope))
        elif kind == "yield":
            for _ in range(rest[0]):
                await Turn()
        elif kind == "set":
            VARIABLES[rest[0]].set(str(rest[1]))
        elif kind == "raise":
            raise ERRORS[rest[0]]()
        elif kind == "cancel" and self._in_task():
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
        elif kind in ("scope", "look"):
            self._use_scope(kind, rest[0])
        else:
            await self._do_more(kind, *rest)

    async def _do_more(self, kind: str, *rest: Any) -> None:
        if kind == "try":
            try:
                await self._run(rest[0])
            except BaseException as error:
                self.log.note("caught", failure(error))
                if isinstance(error, GeneratorExit):
                    raise
        elif kind == "handle":
            try:
                raise ERRORS[rest[0]]()
            except BaseException:
                await self._run(rest[1])
        elif kind in ("task", "shield") and self._in_task():
            is_joined, steps = (rest[0], rest[1]) if kind == "task" else (True, rest[0])
            task = asyncio.ensure_future(self._child(steps))
            self._tasks.append(task)
            if is_joined:
                await (asyncio.shield(task) if kind == "shield" else task)

    async def _child(self, steps: list[Step]) -> None:
        try:
            await self._run(steps)
        except BaseException as error:
            self.log.note("child raised", failure(error), self._turn)
            if isinstance(error, asyncio.CancelledError):
                raise

    def _use_scope(self, kind: str, how: Any) -> None:
        scope = self._app_scope
        if kind == "scope":
            self.log.attempt("change", change, scope, *how)
        elif how == "copy" and isinstance(scope, dict):
            copied = scope.copy()
            self.log.attempt("copied", change, copied, "set", "copied", "1")
        self.log.note("scope is", told(scope), len(scope) if scope is not None else 0)
        # What is written is seen outside at once, and what is written outside is seen inside.
        self.log.note("outside", told(self.scope))


def make_headers(kind: str, pairs: list[tuple[bytes, bytes]]) -> Any:
    """Headers in one of the forms that are iterables of pairs, or in none."""
    forms: dict[str, Callable[[], Any]] = {
        "list": lambda: list(pairs),
        "tuple": lambda: tuple(pairs),
        "iterator": lambda: iter(pairs),
        "pairs iterate": lambda: [iter(pair) for pair in pairs],
        "lists": lambda: [list(pair) for pair in pairs],
        "one short": lambda: [*pairs, (b"alone",)],
        "text": lambda: [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs],
        "none": lambda: None,
    }
    return forms[kind]()


def change(mapping: Any, how: str, key: str, value: str) -> Any:
    """Change a mapping in one of many ways."""
    if how == "set":
        mapping[key] = value
    elif how == "update":
        mapping.update({key: value, "more": value})
    elif how == "updates":
        mapping.update(iter([(key, value), ("more", value)]))
    elif how == "keywords":
        mapping.update(more=value, other=value)
    elif how == "merge":
        mapping |= {key: value}
    elif how == "default":
        return mapping.setdefault(key, value)
    elif how == "pop":
        return mapping.pop(key, "nothing")
    elif how == "del":
        del mapping[key]
    elif how == "popitem":
        return repr(mapping.popitem()[0])
    elif how == "clear":
        mapping.clear()
    elif how == "bad":
        mapping.update([(key, value), 7])
    return None


def told(scope: Any) -> Any:
    """The content of a scope, in its order."""
    if not hasattr(scope, "items"):
        return repr(scope)
    shown = {key: "iterator" if hasattr(value, "__next__") else repr(value) for key, value in scope.items()}
    if "headers" in shown and isinstance(scope["headers"], list):
        shown["headers"] = repr([tuple(each) if isinstance(each, list | tuple) else "?" for each in scope["headers"]])
    return list(shown.items())
