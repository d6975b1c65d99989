"""The ``sw8`` header: a valid one continues the caller's trace, any other value is as good as none."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swprof_mw.propagation import parse
from swprof_mw.reporter.records import Reference


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
    assert parse(value) == Reference(trace, segment, span, *names)
