"""Generated ASGI calls: what a server hands over, what an app does, what the server does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.generated.amount import mixed
from tests.generated.observed import RAISED
from tests.generated.wsgi_cases import HEADERS, LATIN, MAPPINGS, METHODS, MISSING, ODD, PATHS

Step = tuple[Any, ...]

ERRORS: dict[str, Callable[[], BaseException]] = {
    **RAISED,
    "cancelled": asyncio.CancelledError,
    "timeout": TimeoutError,
    "reset": lambda: ConnectionResetError(104, "reset"),
    "no more": StopAsyncIteration,
}
KINDS = st.sampled_from(sorted(ERRORS))

SCOPE_KEYS = st.sampled_from(
    ["type", "method", "path", "raw_path", "root_path", "query_string", "headers", "client", "server", "state", "x"]
) | st.sampled_from(
    ["app", "router", "route", "endpoint", "path_params", "path_template", "app_root_path", "extensions"]
)
RAW_HEADERS = st.lists(st.tuples(LATIN.map(lambda text: text.encode("latin-1")), st.binary(max_size=8)), max_size=3)
SW8 = HEADERS.map(lambda text: (b"sw8", text.encode("latin-1")))
PAIRS = st.builds(lambda pairs, more: [*pairs, *more], RAW_HEADERS, st.lists(SW8, max_size=1))
#: How headers, which only need be iterable, come.
HEADER_KINDS = st.sampled_from(["list", "list", "tuple", "iterator", "pairs iterate", "lists", "text", "none"])
CLIENTS: st.SearchStrategy[Any] = st.sampled_from([None, ("10.0.0.1", 80), ["::1", 0], ("unix", None)])
CHANGES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"path": PATHS, "query_string": st.binary(max_size=8)},
    optional={"method": METHODS, "root_path": PATHS, "client": CLIENTS, "state": st.just({})},
)
ODD_CLIENTS: st.SearchStrategy[Any] = st.sampled_from(["nobody", 7, (), ("a",), ("a", 1, 2), [[], {}], object])
ODD_CHANGES = st.dictionaries(SCOPE_KEYS | st.text(max_size=5), st.just(MISSING) | ODD | LATIN, max_size=3) | st.builds(
    lambda client, headers: {"client": client, "headers": headers},
    ODD_CLIENTS,
    st.sampled_from([5, [b"x"], [(b"sw8", "x")]]),
)
TYPES = st.sampled_from(["http"] * 6 + ["websocket"] * 3 + ["lifespan", "lifespan", "webtransport"])

STATUSES: st.SearchStrategy[Any] = st.sampled_from(
    [200, 204, 404, 500, 503, 0, -1, "200", None, 2.5, float("inf"), float("nan"), b"200", []]
)
MORE = st.sampled_from([{}, {"more_body": True}, {"more_body": False}, {"more_body": "yes"}])
MESSAGES = st.one_of(
    st.builds(
        lambda kind, status, more: {"type": kind, "status": status, **more},
        st.sampled_from(["http.response.start", "http.response.start", "websocket.http.response.start"]),
        STATUSES,
        st.sampled_from([{}, {"trailers": True}, {"trailers": False}]),
    ),
    st.builds(
        lambda kind, body, more: {"type": kind, "body": body, **more},
        st.sampled_from(["http.response.body", "http.response.body", "websocket.http.response.body"]),
        st.binary(max_size=4),
        MORE,
    ),
    st.sampled_from(
        [
            {"type": "http.response.trailers", "headers": [], "more_trailers": True},
            {"type": "http.response.trailers", "headers": []},
            {"type": "http.response.pathsend", "path": "/etc/hosts"},
            {"type": "http.response.zerocopysend", "file": 1, "more_body": True},
            {"type": "http.response.zerocopysend", "file": 1},
            {"type": "http.response.push", "path": "/x", "headers": []},
            {"type": "http.response.early_hint", "links": [b"x"]},
            {"type": "websocket.accept"},
            {"type": "websocket.accept", "subprotocol": "x", "headers": []},
            {"type": "websocket.send", "text": "x"},
            {"type": "websocket.close", "code": 1000},
            {"type": "lifespan.startup.complete"},
            {"type": "lifespan.startup.failed", "message": "no"},
            {"type": "lifespan.shutdown.complete"},
            {},
            {"type": None},
            {"type": ["http.response.start"]},
            {"body": b"x"},
        ]
    ),
)
RECEIVED = st.sampled_from(
    [
        {"type": "http.request", "body": b"", "more_body": False},
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "x"},
        {"type": "websocket.disconnect", "code": 1001},
        {"type": "lifespan.startup"},
        {"type": "lifespan.shutdown"},
        {"type": 7},
        {},
    ]
)
CHANGE = st.tuples(
    st.sampled_from(
        ["set", "update", "updates", "keywords", "merge", "default", "pop", "del", "popitem", "clear", "bad"]
    ),
    SCOPE_KEYS,
    LATIN,
)

SEND = st.tuples(st.just("send"), MESSAGES, HEADER_KINDS, PAIRS)
SIMPLE = mixed(
    (3, st.tuples(st.just("receive"))),
    (5, SEND),
    (1, st.tuples(st.just("yield"), st.integers(0, 3))),
    (1, st.tuples(st.just("set"), st.integers(0, 1), st.integers(0, 9))),
    (5, st.tuples(st.just("scope"), CHANGE)),
    (2, st.tuples(st.just("look"), st.sampled_from(["items", "copy"]))),
    (1, st.tuples(st.just("raise"), KINDS)),
    (1, st.tuples(st.just("return")) | st.tuples(st.just("cancel"))),
)
NESTED = st.lists(SIMPLE, max_size=3)
STEPS = mixed(
    (8, SIMPLE),
    (1, st.tuples(st.just("try"), NESTED)),
    (1, st.tuples(st.just("handle"), KINDS, NESTED)),
    (1, st.tuples(st.just("task"), st.booleans(), NESTED)),
    (1, st.tuples(st.just("shield"), NESTED)),
)
START: Step = ("send", {"type": "http.response.start", "status": 200}, "list", [])
BODY: Step = ("send", {"type": "http.response.body", "body": b"x"}, "none", [])
APPS = st.lists(STEPS, max_size=6) | st.lists(STEPS, max_size=3).map(lambda steps: [("receive",), START, *steps, BODY])


class Case(NamedTuple):
    """One call of an app.

    Attributes:
        kind: the type of the scope.
        changes: of the scope; a value may say that the key is missing.
        mapping: what kind of a mapping the scope is.
        header_kind: in what form the headers come.
        headers: of the request.
        app: what the app does, one step after the other.
        received: what the server hands over, one at each call of receive; then it waits.
        hurdles: what goes wrong at the server's nth call of receive or send.
        meddles: what the server does to the scope at its nth call.
        turns: of the loop that each call of the server takes.
        end: how the server ends it: "cancel" after some turns, "close" of the coroutine, or not at all.
        after: turns.
        layers: how often the app is wrapped.
    """

    kind: str
    changes: dict[str, Any]
    mapping: str
    header_kind: str
    headers: list[tuple[bytes, bytes]]
    app: list[Step]
    received: list[dict[str, Any]]
    hurdles: dict[int, str]
    meddles: dict[int, tuple[str, str, str]]
    turns: int
    end: str
    after: int
    layers: int


CASES = st.builds(
    Case,
    kind=TYPES,
    changes=mixed((7, CHANGES), (1, st.builds(lambda usual, odd: {**usual, **odd}, CHANGES, ODD_CHANGES))),
    mapping=st.sampled_from([*["dict"] * 20, *MAPPINGS]),
    header_kind=HEADER_KINDS,
    headers=PAIRS,
    app=APPS,
    received=st.lists(RECEIVED, max_size=4),
    hurdles=mixed((2, st.just({})), (1, st.dictionaries(st.integers(0, 3), KINDS, max_size=1))),
    meddles=mixed((1, st.just({})), (1, st.dictionaries(st.integers(0, 3), CHANGE, max_size=2))),
    turns=st.integers(0, 2),
    end=st.sampled_from(["", "", "", "cancel", "close", "throw"]),
    after=st.integers(1, 6),
    layers=st.sampled_from([1, 1, 1, 2]),
)
