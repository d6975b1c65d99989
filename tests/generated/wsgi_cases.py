"""Generated WSGI requests: what a server hands over, what an app does, how the server reads its answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st

from swprof_mw.wsgi.entry import SPAN
from tests.generated.amount import mixed
from tests.generated.observed import RAISED

Step = tuple[Any, ...]

#: In the place of a value: there is no such key.
MISSING = "<missing>"

LATIN = st.text(st.characters(max_codepoint=255), max_size=12)
PATHS = (
    LATIN.map("/".__add__)
    | st.sampled_from(
        ["", "/", "//", "/a/../b", "/\x00", "/caf\xc3\xa9", "/\xff", "*", "/a?b", "/a;b\r\nX: y", "/{x}/%s"]
    )
    | st.sampled_from(["/" + "a" * 160, "/" + "1/" * 90])
)
METHODS = LATIN | st.sampled_from(["GET", "POST", "HEAD", "get", "", "PRI", "M-SEARCH", "G T\r\n", "X" * 99])
HEADERS = LATIN | st.sampled_from(["1-a-b-c-d-e-f-g", "1-" * 8, "\x00", "-" * 7, "=" * 99, "1-YQ==-YQ==-1----"])
#: What is no text that WSGI and ASGI allow, or no text at all.
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, 7, b"/bytes", "/\N{SNOWMAN}", "/\udc80", [], ["/"], {}, object, True, 1.5, ("a", "b")]
)
KEYS = st.sampled_from(
    ["REQUEST_METHOD", "PATH_INFO", "SCRIPT_NAME", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_PORT", "HTTP_SW8", SPAN]
)
CHANGES = st.fixed_dictionaries(
    {"PATH_INFO": PATHS, "REQUEST_METHOD": METHODS, "QUERY_STRING": LATIN},
    optional={"HTTP_SW8": HEADERS, "HTTP_COOKIE": HEADERS, "SCRIPT_NAME": PATHS, "REMOTE_ADDR": LATIN},
)
ODD_CHANGES = st.dictionaries(KEYS | st.text(max_size=5), st.just(MISSING) | ODD | LATIN, max_size=3)
MAPPINGS = ["subclass", "user's", "read only", "none"]

STATUSES = st.sampled_from(["200 OK", "404 Not Found", "500 Oops", "204", "odd", "", "2", "٣٠٠ x", "-10 x", " 200"])
ODD_STATUSES: st.SearchStrategy[Any] = st.sampled_from([None, 200, b"200 OK", ["2", "0", "0"], {}, 2.5, object])
PAIRS = st.lists(st.tuples(LATIN, LATIN), max_size=3)
HOWS = st.sampled_from(["positional", "keywords", "none", "three", "exc_info", "short"])
KINDS = st.sampled_from(sorted(RAISED))

STEPS = st.one_of(
    st.tuples(st.just("start"), mixed((5, STATUSES), (1, ODD_STATUSES)), PAIRS, HOWS),
    st.tuples(st.just("write"), st.binary(max_size=5)),
    st.tuples(st.just("read"), st.integers(-1, 5)),
    st.tuples(st.just("set"), st.integers(0, 1), st.integers(0, 9)),
    st.tuples(st.just("environ"), st.sampled_from(["set", "pop", "del"]), KEYS, LATIN),
    st.tuples(st.just("raise"), KINDS),
    st.tuples(st.just("swallow"), KINDS),
    st.tuples(st.just("copy"), st.integers(0, 1)),
)
START: Step = ("start", "200 OK", [("a", "b")], "positional")
#: Most apps do what they should.
CALLS = st.lists(STEPS, max_size=4) | st.lists(STEPS, max_size=2).map(lambda steps: [START, *steps])
CHUNKS = st.lists(st.tuples(st.just("chunk"), st.binary(max_size=5)) | STEPS, max_size=4)
BODIES = st.sampled_from(
    ["list", "tuple", "bytes", "list of ours", "bytes of ours", "bytearray", "text", "dict", "none", "number", "object"]
) | st.sampled_from(
    ["generator", "iterator", "closing", "sized", "indexed", "map", "clingy", "own close", "file", "wrapped", "mock"]
)
OPERATIONS = st.sampled_from(
    ["iter", "next", "next", "direct", "length", "file", "thread", "close", "elsewhere", "away"]
)
READS = st.lists(OPERATIONS, max_size=8) | st.sampled_from(
    [
        ["length", "file", "all", "close"],
        ["all", "length", "close"],
        ["all", "close", "close"],
        ["iter", "next", "close", "next"],
        ["iter", "next", "away", "next"],
    ]
)


class Case(NamedTuple):
    """One request.

    Attributes:
        changes: of the environ.
        mapping: what kind of a mapping the environ is: a dict, or one of ``MAPPINGS``.
        wrapper: the server's file wrapper: none, a class, or a function.
        call: what the app does when it is called.
        body: what kind of a body it returns.
        chunks: what the body does, one step after the other.
        close: what its close does.
        reads: what the server does with the body.
        strict: whether the server refuses what PEP 3333 forbids.
        fails: the server's write fails from this one on.
        layers: how often the app is wrapped.
    """

    changes: dict[str, Any]
    mapping: str
    wrapper: str
    call: list[Step]
    body: str
    chunks: list[Step]
    close: list[Step]
    reads: list[str]
    strict: bool
    fails: int
    layers: int

    @property
    def notices_its_end(self) -> bool:
        """Whether the app notes when its body is dropped."""
        return self.body in ("generator", "clingy")


CASES = st.builds(
    Case,
    changes=mixed((7, CHANGES), (1, st.builds(lambda usual, odd: {**usual, **odd}, CHANGES, ODD_CHANGES))),
    mapping=st.sampled_from([*["dict"] * 20, *MAPPINGS]),
    wrapper=st.sampled_from(["none", "class", "function"]),
    call=CALLS,
    body=BODIES,
    chunks=CHUNKS,
    close=st.lists(STEPS, max_size=2),
    reads=READS,
    strict=st.booleans(),
    fails=st.sampled_from([9, 9, 9, 0, 1]),
    layers=st.sampled_from([1, 1, 1, 2]),
)
