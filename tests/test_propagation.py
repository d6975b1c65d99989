"""The ``sw8`` header: a valid one continues the caller's trace, and ``sw8()`` makes one for whom the app calls."""

from __future__ import annotations

import base64
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import flask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swprof_mw
from swprof_mw import propagation
from swprof_mw.application import Application
from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.collector.server import Collector
from swprof_mw.flask import SWProfiler
from swprof_mw.propagation import parse
from swprof_mw.query.client import OapClient
from swprof_mw.records import Reference
from swprof_mw.span import EntrySpan
from tests import asgi_driver, wsgi_client
from tests.faulty import Backend
from tests.recorded import Recorded
from tests.waiting import eventually


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def header(**changes: str) -> str:
    """A valid header, with some of its raw fields changed."""
    fields = {
        "sample": "1",
        "trace": encoded("trace-1"),
        "segment": encoded("segment-1"),
        "span": "3",
        "service": encoded("shop|eu"),
        "instance": encoded("one@host"),
        "endpoint": encoded("/päths/{id}"),
        "address": encoded("10.0.0.1:80"),
        **changes,
    }
    return "-".join(fields.values())


def test_a_valid_header_names_the_callers_span() -> None:
    assert parse(header()) == Reference("trace-1", "segment-1", 3, "shop|eu", "one@host", "/päths/{id}", "10.0.0.1:80")


def test_a_caller_that_does_not_sample_is_a_caller_still() -> None:
    found = parse(header(sample="0"))
    assert found is not None
    assert found.trace_id == "trace-1"


def test_names_may_be_empty_and_span_numbers_go_up_to_the_protocols_limit() -> None:
    found = parse(header(service="", instance="", endpoint="", address="", span=str(2**31 - 1)))
    assert found == Reference("trace-1", "segment-1", 2**31 - 1, "", "", "", "")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-",
        "-------",
        "1",
        header() + "-",
        header().rpartition("-")[0],
        "1-" + header(),
        header(sample=""),
        header(sample="2"),
        header(sample="01"),
        header(sample="true"),
        header(span=""),
        header(span="x"),
        header(span="1.0"),
        header(span="+1"),
        header(span="٣"),
        header(span=str(2**31)),
        header(span="9" * 3000),
        header(trace=""),
        header(segment=""),
        header(trace="trace"),
        header(trace=encoded("trace-1").rstrip("=")),
        header(trace=encoded("trace-1") + "\n"),
        header(trace=" " + encoded("trace-1")),
        header(service="*"),
        header(service="ä"),
        header(endpoint=base64.b64encode(b"\xff\xfe").decode()),
        header(endpoint=encoded("x" * 5000)),
    ],
)
def test_any_other_value_is_as_good_as_none(value: str) -> None:
    assert parse(value) is None


FIELDS = st.text(max_size=20) | st.binary(max_size=20).map(lambda raw: base64.b64encode(raw).decode())


@given(st.text() | st.lists(FIELDS, min_size=6, max_size=10).map("-".join))
@settings(deadline=None, database=None, max_examples=300)
def test_no_value_makes_it_raise(value: str) -> None:
    found = parse(value)
    assert found is None or isinstance(found, Reference)


NAMES = st.text(st.characters(codec="utf-8"), max_size=30)
IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@given(IDS, IDS, st.integers(0, 2**31 - 1), NAMES, NAMES, NAMES, NAMES)
@settings(deadline=None, database=None)
def test_what_a_caller_encoded_comes_out_again(
    trace: str, segment: str, span: int, service: str, instance: str, endpoint: str, address: str
) -> None:
    names = (service, instance, endpoint, address)
    value = "-".join(["1", encoded(trace), encoded(segment), str(span), *map(encoded, names)])
    reference = Reference(trace, segment, span, *names)
    assert parse(value) == reference
    assert propagation.header(reference) == value


@pytest.mark.parametrize("field", ["trace_id", "service", "endpoint", "address"])
def test_no_header_is_made_that_nobody_would_read(field: str) -> None:
    def reference(length: int) -> Reference:
        names: dict[str, Any] = {field: "x" * length}
        return Reference("t", "s", 0, "shop", "one", "/cart", "stock:80")._replace(**names)

    longest = max(length for length in range(4000) if propagation.header(reference(length)))
    made = propagation.header(reference(longest))
    assert made is not None
    assert parse(made) == reference(longest)
    assert parse(made + "A" * 4) is None


def test_a_lone_surrogate_is_a_question_mark_there() -> None:
    made = propagation.header(Reference("t", "s", 0, "shop", "one", "/\udcff", ""))
    assert made is not None
    assert parse(made) == Reference("t", "s", 0, "shop", "one", "/?", "")


# swprof_mw.trace_id() and swprof_mw.sw8()


def inside(view: Callable[[], Any], path: str = "/cart/7", sw8: str = "", **settings: object) -> Any:
    """What ``view`` returns as part of a request of the service ``shop``."""
    span = Application(7001, {"service_name": "shop", **settings}).begin("GET", path, sw8=sw8)
    assert isinstance(span, EntrySpan)
    token = span.activate()
    try:
        return view()
    finally:
        span.deactivate(token)
        span.end(200)


def test_outside_of_a_request_there_is_no_trace(recorded: Recorded) -> None:
    assert (swprof_mw.trace_id(), swprof_mw.sw8("stock:80")) == ("", None)
    elsewhere: list[object] = []

    def ask() -> None:
        elsewhere.extend([swprof_mw.trace_id(), swprof_mw.sw8("stock:80")])

    def view() -> None:
        other = threading.Thread(target=ask)  # it has a context of its own, unless 3.14 is told otherwise
        other.start()
        other.join()

    inside(view)
    if not getattr(sys.flags, "thread_inherit_context", 0):
        assert elsewhere == ["", None]


def test_what_reads_the_span_and_the_header_names_the_same_place(recorded: Recorded) -> None:
    def view() -> tuple[str, str | None]:
        swprof_mw.set_endpoint("/cart/{id}")
        return swprof_mw.trace_id(), swprof_mw.sw8("stöck:80")

    trace, value = inside(view)
    segment = recorded.last
    assert trace == segment.trace_id == segment.segment_id
    names = (segment.service, segment.instance, "/cart/{id}", "stöck:80")
    assert parse(value) == Reference(trace, segment.segment_id, 0, *names)
    assert segment.service == "shop"


def test_a_request_whose_route_is_not_known_yet_is_named_by_its_path(recorded: Recorded) -> None:
    found = parse(inside(lambda: swprof_mw.sw8("stock:80")))
    assert found is not None
    assert found.endpoint == "/cart/{id}"


def test_the_callers_trace_goes_on_and_the_segment_still_tells_of_the_caller(recorded: Recorded) -> None:
    value = inside(lambda: (swprof_mw.sw8("stock:80"), swprof_mw.trace_id()), sw8=header())
    found = parse(value[0])
    assert found is not None
    assert (found.trace_id, value[1]) == ("trace-1", "trace-1")
    assert found.segment_id == recorded.last.segment_id
    assert recorded.last.trace_id == "trace-1"
    assert recorded.last.reference == parse(header())


def test_a_header_that_is_not_valid_begins_a_trace(recorded: Recorded) -> None:
    assert inside(swprof_mw.trace_id, sw8="nonsense") == recorded.last.segment_id


@pytest.mark.parametrize("trace", ["a\nERROR forged", "\x1b[2J", "\u202egnp", "a\x00b"])
def test_a_strangers_trace_id_stays_one_line_that_prints(recorded: Recorded, trace: str) -> None:
    shown = inside(swprof_mw.trace_id, sw8=header(trace=encoded(trace)))
    assert shown.isprintable()
    assert shown == trace.encode("unicode_escape").decode()
    found = parse(inside(lambda: swprof_mw.sw8("stock:80"), sw8=header(trace=encoded(trace))))
    assert found is not None
    assert found.trace_id == trace


def test_nonsense_does_not_raise(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    assert inside(lambda: swprof_mw.sw8(7)) is None  # type: ignore[arg-type]
    assert "failed in continuing the trace" in caplog.text
    found = parse(inside(lambda: swprof_mw.sw8("x" * 10_000)))
    assert found is not None
    assert len(found.address) == 200
    assert inside(lambda: swprof_mw.sw8("s:1"), sw8=header(trace=encoded("x" * 3000))) is None


def test_what_a_request_left_running_belongs_to_its_trace(recorded: Recorded) -> None:
    span = Application(7001, {"service_name": "shop"}).begin("GET", "/cart")
    assert isinstance(span, EntrySpan)
    token = span.activate()
    span.end(200)
    assert swprof_mw.trace_id() == span.segment_id
    assert swprof_mw.sw8("stock:80")
    span.deactivate(token)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_was_forked_within_a_request_is_not_part_of_it(recorded: Recorded) -> None:
    def view() -> int:
        process = os.fork()
        if not process:
            os._exit(0 if (swprof_mw.trace_id(), swprof_mw.sw8("s:1")) == ("", None) else 1)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    assert inside(view) == 0


def called(app: Any, path: str, sw8: str | None) -> None:
    """Call the ASGI app as another process would: nothing but the header goes along."""
    scope = asgi_driver.http(path, headers=[("sw8", sw8 or "")])
    other = threading.Thread(target=asgi_driver.call, args=(app, scope))
    other.start()
    other.join()


def two_apps() -> Any:
    """A Flask app that calls an ASGI app."""

    async def stock(scope: Any, receive: Any, send: Any) -> None:
        swprof_mw.set_endpoint("/stock")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    store = SWProfilerMiddleware(stock, service_name="stock")
    shop = flask.Flask("shop")

    @shop.route("/cart/<int:number>")
    def cart(number: int) -> str:
        called(store, "/stock", swprof_mw.sw8("stock:80"))
        return swprof_mw.trace_id()

    return SWProfiler(shop, service_name="shop")


def test_the_one_who_is_called_refers_to_its_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    with Backend() as backend:
        monkeypatch.setenv("SW_AGENT_COLLECTOR_BACKEND_SERVICES", backend.address)
        wsgi_client.ask(two_apps(), "/cart/7")
        backend.wait(lambda: len(backend.segments()) == 2)
        inner, outer = sorted(backend.segments(), key=lambda segment: segment.service != "stock")
    assert (inner.service, outer.service) == ("stock", "shop")
    assert inner.traceId == outer.traceId
    (ref,) = inner.spans[0].refs
    assert (ref.traceId, ref.parentTraceSegmentId, ref.parentSpanId) == (outer.traceId, outer.traceSegmentId, 0)
    assert (ref.parentService, ref.parentServiceInstance) == ("shop", outer.serviceInstance)
    assert (ref.parentEndpoint, ref.networkAddressUsedAtPeer) == ("/cart/<int:number>", "stock:80")
    assert not outer.spans[0].refs


def test_the_collector_shows_one_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector(0, 0) as collector:
        monkeypatch.setenv("SW_AGENT_COLLECTOR_BACKEND_SERVICES", collector.backend)
        trace = wsgi_client.ask(two_apps(), "/cart/7").body.decode()
        paging = {"pageNum": 1, "pageSize": 20}
        asked = {"traceId": trace, "traceState": "ALL", "queryOrder": "BY_START_TIME", "paging": paging}
        query = "query($c: TraceQueryCondition){queryBasicTraces(condition: $c){traces{endpointNames traceIds}}}"
        client = OapClient(collector.url)

        def traces() -> list[Any]:
            found: list[Any] = client.query(query, c=asked)["queryBasicTraces"]["traces"]
            return found if len(found) == 2 else []

        shown = eventually(traces, "both requests are shown")
    assert sorted(one["endpointNames"][0] for one in shown) == ["/cart/<int:number>", "/stock"]
    assert all(one["traceIds"] == [trace] for one in shown)
