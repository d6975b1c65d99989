"""The way to a slow line without a mouse, and through the flame graph and the tree."""

from __future__ import annotations

import grpc
import pytest

from swprof_mw.query.client import OapClient
from tests.page.browser import Visitor
from tests.page.conftest import Visiting
from tests.page.site import Profiled, Site, profiled
from tests.page.states import shown
from tests.test_collector import Agent

SLOW = ["/cart", "cart.py.view: 3", "cart.py.price: 7"]
FAST = ["/cart", "cart.py.view: 4", "cart.py.stock: 9"]


@pytest.fixture(scope="module")
def cart(channel: grpc.Channel, client: OapClient) -> Profiled:
    return profiled(channel, client, [[*[SLOW] * 6, *[FAST] * 4]])


def focused(visitor: Visitor) -> str:
    """The id of what has the focus, or its text."""
    return str(visitor.page.evaluate("document.activeElement.id || document.activeElement.innerText.split('\\n')[0]"))


def tab_to(visitor: Visitor, wanted: str, most: int = 60) -> None:
    """Press Tab until it has the focus."""
    passed = []
    for _ in range(most):
        visitor.page.keyboard.press("Tab")
        passed.append(focused(visitor))
        if passed[-1] == wanted:
            return
    raise AssertionError(f"{wanted} is not reached, but {passed}")


def test_the_way_to_a_line(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.page) as visitor:
        press = visitor.page.keyboard.press
        visitor.page.locator("#service-0").wait_for()
        press("Tab")
        assert focused(visitor) == "To the content"
        tab_to(visitor, "service-0")
        press("Enter")
        visitor.page.locator("#profile-0").wait_for()
        tab_to(visitor, "profile-0")
        press("Enter")
        assert focused(visitor) == "start"
        press("Escape")
        visitor.page.locator("dialog").wait_for(state="detached")
        assert focused(visitor) == "profile-0"
        tab_to(visitor, "task-0")
        press("Enter")
        visitor.page.locator("td:has-text('%')").first.wait_for()
        tab_to(visitor, "choose-0")
        press("Space")
        tab_to(visitor, "together")
        press("Enter")
        shown(visitor)
        tab_to(visitor, "flame")
        for key in ("ArrowDown", "ArrowDown", "ArrowDown"):
            press(key)
        assert "cart.py:7" in visitor.text("#frame-details")
        assert visitor.page.locator("g.current .d3-flame-graph-label").inner_text().startswith("price")


def test_the_flame_graph(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.profile(cart.service, cart.task, cart.segments)) as visitor:
        shown(visitor)
        press = visitor.page.keyboard.press
        visitor.page.locator("#flame").focus()
        steps = [
            ("ArrowDown", "/cart"),
            ("ArrowDown", "cart.py:3"),
            ("ArrowRight", "cart.py:4"),
            ("ArrowLeft", "cart.py:3"),
        ]
        for key, place in [*steps, ("ArrowUp", "/cart"), ("Home", "request"), ("ArrowUp", "request")]:
            press(key)
            assert place in visitor.text("#frame-details")
        whole = visitor.page.locator("g.frame").count()
        press("ArrowDown")
        press("ArrowDown")
        press("Enter")
        assert visitor.page.locator("g.frame").count() < whole or visitor.page.locator("g.fade").count() == 2
        press("Escape")
        assert visitor.page.locator("g.frame").count() == whole
        assert visitor.page.locator("g.fade").count() == 0


def test_the_tree(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.profile(cart.service, cart.task, cart.segments)) as visitor:
        shown(visitor)
        press = visitor.page.keyboard.press
        rows = visitor.page.locator(".tree tbody tr")
        whole = rows.count()
        rows.first.focus()
        press("ArrowLeft")
        assert rows.count() == 1
        assert rows.first.get_attribute("aria-expanded") == "false"
        press("ArrowRight")
        assert rows.count() == 2
        press("ArrowRight")
        press("ArrowRight")
        press("End")
        press("Home")
        press("ArrowDown")
        press("Enter")
        assert "/cart" in visitor.text("#frame-details")
        assert 2 < rows.count() <= whole
        assert visitor.page.locator(".tree [tabindex='0']").count() == 1


def test_the_focus_stays_while_the_page_follows(
    visit: Visiting, site: Site, channel: grpc.Channel, client: OapClient, cart: Profiled
) -> None:
    with visit(f"{site.page}#/service/c2hvcA==.1") as visitor:
        visitor.page.locator("#profile-0").focus()
        before = visitor.page.locator("main tbody tr").count()
        profiled(channel, client, [[SLOW] * 2], service="elsewhere")
        Agent(channel, "shop").request(5, 9, "/new")
        visitor.page.locator("bdi:text-is('/new')").first.wait_for()
        assert visitor.page.locator("main tbody tr").count() == before + 1
        assert focused(visitor) == "profile-0"


def test_the_frame_that_is_gone_to_is_seen(
    visit: Visiting, site: Site, channel: grpc.Channel, client: OapClient
) -> None:
    deep = ["/cart", *(f"cart.py.f{number}: {number}" for number in range(1, 60))]
    found = profiled(channel, client, [[deep] * 4], service="deep")
    with visit(site.profile(found.service, found.task, found.segments)) as visitor:
        shown(visitor)
        visitor.page.locator("#flame").focus()
        for _ in range(60):
            visitor.page.keyboard.press("ArrowDown")
        graph, frame = (visitor.page.locator(one).bounding_box() for one in ("#flame", "g.current"))
        assert graph
        assert frame
        assert graph["y"] <= frame["y"]
        assert frame["y"] + frame["height"] <= graph["y"] + graph["height"] + 1
        assert "cart.py:59" in visitor.text("#frame-details")


def test_going_back_closes_the_form(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.page) as visitor:
        visitor.click("#service-0")
        visitor.click("#profile-0")
        visitor.page.locator("dialog").wait_for()
        visitor.page.go_back()
        visitor.page.locator("#service-0").wait_for()
        assert visitor.page.locator("dialog").count() == 0
        visitor.click("#service-0")
        visitor.page.locator("#profile-0").wait_for()
