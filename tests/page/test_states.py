"""What has to hold in every state: for all eyes and hands, in light and dark, on a narrow screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from swprof_mw.collector.server import Collector
from swprof_mw.query.client import OapClient
from tests.page.conftest import Visiting
from tests.page.site import Profiled, Site, profiled
from tests.page.states import STATES, Opening, cut_off, is_wider_than_the_screen

STACKS = [
    *[["/cart", "flask/app.py.Flask.wsgi_app: 9", "cart.py.view: 3", "cart.py.price: 7"]] * 6,
    *[["/cart", "flask/app.py.Flask.wsgi_app: 9", "cart.py.view: 4", "socket.py.recv: 70", "[waiting]"]] * 3,
    *[["/cart", "flask/app.py.Flask.wsgi_app: 9", "cart.py.view: 5", "[queued]"]] * 2,
]
LOOKS: Mapping[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 360, "height": 740}},
}


@pytest.fixture(scope="module")
def cart(channel: grpc.Channel, client: OapClient) -> Profiled:
    return profiled(channel, client, [STACKS, STACKS[2:], STACKS], missing=12_020)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("opening", STATES.values(), ids=STATES.keys())
def test_each_state_is_accessible(visit: Visiting, site: Site, cart: Profiled, opening: Opening, look: str) -> None:
    with visit(site.page, **LOOKS[look]) as visitor:
        opening(visitor, site, cart)
        assert visitor.violations() == []
        if look == "narrow":
            assert not is_wider_than_the_screen(visitor)
            assert cut_off(visitor) == []


@pytest.mark.parametrize("look", LOOKS)
def test_the_empty_state_is_accessible(visit: Visiting, look: str) -> None:
    with Collector(0, 0) as collector, visit(collector.page, **LOOKS[look]) as visitor:
        visitor.page.locator("ol.steps").wait_for()
        assert visitor.violations() == []
        assert not is_wider_than_the_screen(visitor)


@contextmanager
def locked() -> Iterator[Collector]:
    with Collector(0, 0, token="right-t0ken") as collector:
        yield collector


@pytest.mark.parametrize("look", LOOKS)
def test_a_token_is_asked_for_and_kept(visit: Visiting, look: str) -> None:
    with locked() as collector, visit(collector.page, **LOOKS[look]) as visitor:
        visitor.page.locator("#token").wait_for()
        assert visitor.violations() == []
        visitor.page.locator("#token").fill("right-t0ken")
        visitor.page.keyboard.press("Enter")
        visitor.page.locator("ol.steps").wait_for()
        visitor.page.reload()
        visitor.page.locator("ol.steps").wait_for()
        assert [one for one in visitor.trouble if "401" not in one] == []
        visitor.trouble.clear()  # the browser tells of each 401


def test_a_token_in_the_address_is_taken_out_of_it(visit: Visiting) -> None:
    with locked() as collector, visit(f"{collector.page}#token=right-t0ken") as visitor:
        visitor.page.locator("ol.steps").wait_for()
        assert visitor.page.url == f"{collector.page}#/"


def test_a_server_that_is_gone_is_told_of_and_found_again(visit: Visiting) -> None:
    with Collector(0, 0) as collector, visit(collector.page) as visitor:
        visitor.page.locator("ol.steps").wait_for()
        visitor.page.context.set_offline(True)
        visitor.page.locator("#alert:has-text('does not answer')").wait_for()
        assert visitor.violations() == []
        visitor.page.context.set_offline(False)
        visitor.page.locator("#alert:empty").wait_for(state="attached")
        visitor.trouble.clear()
