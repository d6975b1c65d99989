"""Whatever a request says of itself: its segment can be sent, and is no longer than it may be."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swprof_mw.application import Application
from swprof_mw.names import ENDPOINT_LENGTH, OTHER, EndpointNames
from swprof_mw.records import Segment
from swprof_mw.reporter import encode
from swprof_mw.span import EntrySpan
from tests.generated.amount import cases
from tests.generated.observed import RAISED
from tests.generated.wsgi_cases import HEADERS, KINDS, METHODS, PATHS
from tests.recorded import Recorded

ANY = st.text(max_size=20) | st.sampled_from(
    ["\x00", "\udc80", "\N{SNOWMAN}" * 9_000, "x" * 100_000, "{route}{method}"]
)
MIXED_PATHS = PATHS | ANY.map("/".__add__) | st.just("/" * 60_000)


def application(**settings: object) -> Application:
    """One that has an agent."""
    made = Application(1, {"service_name": "shop", **settings})
    made.attach()
    return made


def ended(app: Application, method: str, path: str, host: str = "", sw8: str = "") -> EntrySpan:
    """A request that is over; named by its path."""
    span = app.begin(method, path, (host, 80), sw8)
    assert isinstance(span, EntrySpan)
    span.route_by_path()
    return span


def check(segment: Segment) -> None:
    """It can be sent, and is not long."""
    encoded = encode.collection(segment).SerializeToString()
    assert len(encoded) < 40_000
    assert len(segment.operation) <= ENDPOINT_LENGTH


@given(METHODS | ANY, MIXED_PATHS, ANY, HEADERS | ANY, KINDS, st.sampled_from(["path", "route", "off"]))
@cases(150)
def test_any_request_becomes_a_segment_that_can_be_sent(
    recorded: Recorded, method: str, path: str, peer: str, sw8: str, kind: str, url_tag: str
) -> None:
    app = application(url_tag=url_tag, endpoint_format="{method}:{route}", trace_reporter_max_buffer_size=100_000)
    span = ended(app, method, path, peer, sw8)
    try:
        raise RAISED[kind]()
    except BaseException as error:
        span.error(error)
    before = len(recorded.agent.reporter.segments)
    span.end(500)
    assert len(recorded.agent.reporter.segments) == before + 1
    check(recorded.agent.reporter.segments._items[-1].segment())


def test_a_thousand_long_requests_are_no_load(recorded: Recorded) -> None:
    app = application()
    tracemalloc.start()
    try:
        for number in range(300):
            long = f"{number}" + "x" * 100_000
            ended(app, long, "/" + long, host=long, sw8=long).end(200)
        assert tracemalloc.get_traced_memory()[0] < 5_000_000
    finally:
        tracemalloc.stop()
    assert len(recorded.segments) == 300


def test_methods_thought_up_by_a_stranger_make_one_name() -> None:
    names = EndpointNames("{method}:{route}")
    made_up = [f"GET{number}" for number in range(100)]
    assert {names.route(method, "/x") for method in made_up} == {f"{OTHER}:/x"}
    assert {names.unmatched(method) for method in made_up} == {f"{OTHER}:<unmatched>"}
    assert {names.path(method, "/x") for method in made_up} == {f"{OTHER}:/x"}
    assert len(names._by_method) == 1
    for method in ("GET", "PATCH", "PROPFIND", "M-SEARCH"):
        assert names.route(method, "/x") == f"{method}:/x"


@pytest.mark.parametrize("path", ["/" + "1/" * 100_000, "/" + "a1" * 500_000, "/" * 300_000])
def test_a_name_is_guessed_in_no_time_however_long_the_path(path: str) -> None:
    names = EndpointNames()
    tracemalloc.start()
    try:
        for _ in range(20):
            assert names.guess("GET", path) == OTHER
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
