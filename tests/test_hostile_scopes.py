"""The scope that an app is called with while a task runs: a dict like the server's own, both ways."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from swprof_mw.asgi.watched import WatchedScope
from tests.generated.amount import cases
from tests.generated.asgi_cases import CHANGE
from tests.generated.asgi_world import change
from tests.generated.observed import Log

SCOPES = st.dictionaries(st.sampled_from(["path", "x", "more", "endpoint"]), st.integers(0, 3), max_size=4)
WHERE = st.sampled_from(["inside", "inside", "outside"])


@given(SCOPES, st.lists(st.tuples(WHERE, CHANGE), max_size=8))
@cases(200)
def test_what_is_written_inside_or_outside_is_seen_on_both_sides(
    content: dict[str, Any], changes: list[tuple[str, tuple[str, str, str]]]
) -> None:
    plain, original, log, other = dict(content), dict(content), Log(), Log()
    outer = WatchedScope(original, lambda _: None)
    inner = WatchedScope(outer, lambda _: None)
    for where, how in changes:
        log.attempt("change", change, plain, *how)
        other.attempt("change", change, inner if where == "inside" else original, *how)
        if where == "outside":
            # As the app does with each message.
            outer.refresh()
            inner.refresh()
        assert list(original.items()) == list(plain.items())
        assert inner == outer == original
    assert other.events == log.events


@given(SCOPES)
@cases(20)
def test_copies_are_plain_dicts_that_lead_nowhere(content: dict[str, Any]) -> None:
    routed: list[object] = []
    original = dict(content)
    watched = WatchedScope(original, routed.append)
    for copied in (
        copy.copy(watched),
        copy.deepcopy(watched),
        pickle.loads(pickle.dumps(watched)),
        watched.copy(),
        watched | {},
        {**watched},
        json.loads(json.dumps(watched)),
    ):
        assert type(copied) is dict
        assert copied == content
        copied["new"] = 1
        copied.update(endpoint=2)
        assert watched == original == content
    assert repr(watched) == repr(content)
    assert not routed


def test_routers_are_heard_whichever_way_they_write() -> None:
    routed: list[object] = []
    watched: Any = WatchedScope({}, routed.append)
    watched.update({"endpoint": 1})
    watched |= {"endpoint": 2}
    watched["path_template"] = "/x"
    watched["path"] = "/x"
    assert routed == [watched] * 3
    assert type(watched) is WatchedScope
