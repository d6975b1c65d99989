"""What somebody sees who tries it: from nothing to the app's own slow line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.examples import DIRECTORY, EXAMPLES, Example, Orders
from tests.load import get
from tests.oap.server import OapServer
from tests.page.browser import Visitor
from tests.page.conftest import Visiting
from tests.page.site import Site, over, site
from tests.servers import Server, start

CLICKS = 4
SECONDS = 30.0


@contextmanager
def running(example: Example, backend: str) -> Iterator[Server]:
    """The example as a user starts it: nothing is set but where to report."""
    with start(example.server, example.target, {"SW_AGENT_COLLECTOR_BACKEND_SERVICES": backend}, DIRECTORY) as server:
        yield server


def to_the_flame_graph(visitor: Visitor, example: Example, patience: float) -> None:
    """From the list of services to the flame graph of a request."""
    visitor.click(f"a:has(bdi:text-is('{example.service}'))", 10 * patience)
    row = f"tr:has(bdi:text-is('{example.endpoint}'))"
    visitor.click(f"{row} button", 10 * patience)
    visitor.click("#start", 5)
    visitor.click("a.primary", 28 * patience)
    visitor.page.locator("g.frame").first.wait_for(timeout=5000 * patience)


def first_minutes(visitor: Visitor, here: Site, example: Example) -> float:
    """From nothing to the slow line; the seconds from the app's first request to the flame graph."""
    visitor.page.locator("text=No app reports here yet").or_(visitor.page.locator("main table")).first.wait_for()
    with running(example, here.backend) as server:
        begun = time.monotonic()
        for path in ("/", "/health", "/orders/1"):
            assert get(server.url + path)[0] == 200
        with Orders(server):
            to_the_flame_graph(visitor, example, here.patience)
        took = time.monotonic() - begun
    page = visitor.page
    page.locator("g.frame", has_text="wait_for_payment").first.wait_for()
    page.locator("g.frame", has_text="compute_prices").first.click()
    assert "shop.py:" in visitor.text("#frame-details")
    own = page.locator("tr[aria-level]", has_text="compute_prices").first
    assert "shop.py" in own.inner_text()
    print(f"{example.service}: {visitor.clicks} clicks, {took:.1f} s")
    return took


@pytest.mark.timeout(300)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.service)
def test_from_nothing_to_the_slow_line(visit: Visiting, example: Example) -> None:
    with site() as here, visit(here.page) as visitor:
        assert first_minutes(visitor, here, example) <= SECONDS * here.patience
        assert visitor.clicks <= CLICKS


@pytest.mark.oap
@pytest.mark.timeout(300)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.service)
def test_the_same_over_a_real_oap(visit: Visiting, oap: OapServer, example: Example) -> None:
    with over(oap) as here, visit(here.page) as visitor:
        assert first_minutes(visitor, here, example) <= SECONDS * here.patience
        assert visitor.clicks <= CLICKS


def test_the_collector_tells_how_to_start(visit: Visiting, site: Site) -> None:
    with visit(site.page) as visitor:
        visitor.page.locator("ol.steps").wait_for()
        assert f"SW_AGENT_COLLECTOR_BACKEND_SERVICES={site.backend} " in visitor.text("ol.steps")
        assert site.backend in visitor.text("header")
