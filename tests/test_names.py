"""Names: bounded in length and in number, the same wherever they are asked for."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swprof_mw.names import ENDPOINT_LENGTH, GUESSED_NAMES, MEMO, OTHER, EndpointNames, cut, instance_name


@given(st.text(), st.integers(20, 200))
@settings(deadline=None, database=None)
def test_a_cut_name_fits_and_a_short_one_is_left_as_it_is(name: str, length: int) -> None:
    assert len(cut(name, length)) <= length
    assert cut(cut(name, length), length) == cut(name, length)
    if len(name) <= length:
        assert cut(name, length) == name


def test_long_names_that_differ_in_their_last_letter_only_stay_apart() -> None:
    one, other = cut("/a" * 100 + "x", 150), cut("/a" * 100 + "y", 150)
    assert one != other
    assert len(one) == len(other) == 150
    assert one.startswith("/a/a/a")


def test_a_cut_name_is_the_same_in_every_process_and_every_version() -> None:
    assert cut("n" * 71, 70) == "n" * 61 + "~1bc26244"


def test_text_that_utf8_cannot_hold_can_be_cut_too() -> None:
    assert len(cut("\udcff" * 200, 70)) == 70


@pytest.mark.parametrize("template", ["users/<int:uid>", "/users/<int:uid>"])
def test_a_route_has_one_leading_slash(template: str) -> None:
    assert EndpointNames().route("GET", template) == "/users/<int:uid>"


def test_the_format_puts_the_method_in() -> None:
    names = EndpointNames("{method}:{route}")
    assert names.route("GET", "/users") == "GET:/users"
    assert names.route("POST", "/users") == "POST:/users"
    assert names.unmatched("GET") == "GET:<unmatched>"
    assert names.path("PUT", "/users/7") == "PUT:/users/7"
    assert names.guess("GET", "/users/7") == "GET:/users/{id}"


def test_without_the_method_in_the_format_a_route_has_one_name() -> None:
    names = EndpointNames()
    assert names.route("GET", "/users") == names.route("POST", "/users") == "/users"
    assert names.unmatched("GET") == names.unmatched("POST") == "<unmatched>"


def test_every_way_to_a_name_cuts_it_alike() -> None:
    names = EndpointNames("{method}:{route}")
    long = "/long" * 100
    found = {names.route("GET", long), names.path("GET", long), names.guess("GET", long)}
    assert len(found) == 1
    assert len(found.pop()) == ENDPOINT_LENGTH


def test_more_routes_than_are_remembered_are_named_all_the_same() -> None:
    names = EndpointNames()
    for number in range(MEMO + 10):
        assert names.route("GET", f"r{number}") == f"/r{number}"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "/"),
        ("", "/"),
        ("/users/7/orders/42", "/users/{id}/orders/{id}"),
        ("/u/123e4567-e89b-12d3-a456-426614174000", "/u/{id}"),
        ("/u/123E4567-E89B-12D3-A456-426614174000/x", "/u/{id}/x"),
        ("/c/deadbeef1", "/c/{id}"),
        ("/c/deadbeef", "/c/deadbeef"),  # a word may be made of these letters
        ("/c/feedface/a1", "/c/feedface/a1"),
        ("/v2/users", "/v2/users"),
        ("/users/7/", "/users/{id}/"),
        ("/users/-7", "/users/-7"),
        ("/users/7a", "/users/7a"),
    ],
)
def test_numbers_uuids_and_hex_in_a_guessed_name_are_ids(path: str, name: str) -> None:
    assert EndpointNames().guess("GET", path) == name


def test_a_thousand_names_are_guessed_then_all_new_ones_are_other() -> None:
    names = EndpointNames()
    first = [names.guess("GET", f"/page-{number}") for number in range(GUESSED_NAMES)]
    assert len(set(first)) == GUESSED_NAMES
    assert {names.guess("GET", f"/more-{number}") for number in range(50)} == {OTHER}
    assert names.guess("GET", "/page-7") == "/page-7"


def test_a_route_is_never_other_however_many_names_were_guessed() -> None:
    names = EndpointNames()
    for number in range(GUESSED_NAMES + 1):
        names.guess("GET", f"/page-{number}")
    assert names.route("GET", "/users/{id}") == "/users/{id}"


def test_paths_thought_up_by_a_stranger_are_not_kept() -> None:
    names = EndpointNames()
    for number in range(GUESSED_NAMES):
        names.guess("GET", f"/page-{number}")
    tracemalloc.start()
    try:
        for number in range(2_000):
            names.guess("GET", f"/{'x' * 2_000}-{number}")
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()


def test_long_guessed_paths_count_by_what_they_are_cut_to() -> None:
    names = EndpointNames()
    tracemalloc.start()
    try:
        for number in range(GUESSED_NAMES):
            names.guess("GET", f"/{'x' * 4_000}-{number}")
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


def test_an_instance_is_unique_for_each_process() -> None:
    assert instance_name("shop", "host", 7, lambda: "token") == "shop@host-7"
    assert instance_name("", "host", 7, lambda: "token") == "token@host-7"
    long = instance_name("shop" * 20, "host" * 20, 7, lambda: "token")
    assert len(long) == 70
    assert long != instance_name("shop" * 20, "host" * 20, 8, lambda: "token")
