"""What is shown adds up, whatever is chosen, hidden, searched or zoomed."""

from __future__ import annotations

import re

import grpc
import pytest

from swprof_mw.query.client import OapClient, service_id
from tests.page.browser import Visitor
from tests.page.conftest import Visiting
from tests.page.site import Profiled, Site, profiled
from tests.page.states import shown
from tests.test_collector import Agent

VIEW = ["/cart", "flask/app.py.Flask.wsgi_app: 9", "cart.py.view: 3"]
WORK = [*VIEW, "cart.py.price: 7"]
WAIT = [*VIEW, "socket.py.recv: 70", "[waiting]"]
QUEUE = [*VIEW, "[queued]"]
FIRST = [*[WORK] * 6, *[WAIT] * 3, *[QUEUE] * 3]
"""Of 110 ms, 50 are work, 20 are waiting, 20 queueing; 20 lie between them, and only the callers share those."""
SECOND = [*[WORK] * 2, *[WAIT] * 9]


@pytest.fixture(scope="module")
def cart(channel: grpc.Channel, client: OapClient) -> Profiled:
    return profiled(channel, client, [FIRST, SECOND], missing=15)


def numbers(visitor: Visitor) -> dict[str, float]:
    """ms by kind, as the summary tells them."""
    return {
        str(one.get_attribute("data-kind")): value(one.locator("strong").inner_text())
        for one in visitor.page.locator(".number").all()
    }


def value(text: str) -> float:
    """The number in ``1,234.5 ms``."""
    found = re.search(r"[\u2212-]?[\d,]+(\.\d+)?", text)
    assert found, text
    return float(found[0].replace(",", "").replace("\u2212", "-"))


def rows(visitor: Visitor) -> dict[str, list[str]]:
    """The cells of the tree's rows, by what stands in the first."""
    return {
        " ".join(one.locator(".frame-text").inner_text().split()): one.locator("td").all_inner_texts()
        for one in visitor.page.locator(".tree tbody tr").all()
    }


def kinds(told: dict[str, float]) -> float:
    return sum(told[kind] for kind in ("working", "waiting", "queued", "unsampled"))


def test_kinds_add_up_to_the_request(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.profile(cart.service, cart.task, cart.segments[:1])) as visitor:
        shown(visitor)
        told = numbers(visitor)
        assert told["total"] == 125  # of the request: 110 ms of snapshots, and 15 that none tells of
        assert kinds(told) == 125
        assert (told["waiting"], told["queued"]) == (20, 20)
        assert told["unsampled"] == 15
        table = rows(visitor)
        assert value(table["request"][0]) == 125
        assert value(table["[waiting]"][0]) == 20
        assert value(table["[queued]"][0]) == 20
        assert value(table["price cart.py:7"][0]) == 50
        assert value(table["not sampled"][0]) == 15
        assert sum(value(cells[2]) for cells in table.values()) == 125  # own times


def test_hidden_framework_code_is_counted_for_its_callers(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.profile(cart.service, cart.task, cart.segments[:1])) as visitor:
        shown(visitor)
        hidden = rows(visitor)
        assert not [one for one in hidden if "wsgi_app" in one or "recv" in one]
        visitor.page.locator("#hide-framework").uncheck()
        visitor.page.locator(".tree .framework").first.wait_for()
        whole = rows(visitor)
        assert "Flask.wsgi_app app.py:9" in {re.sub(r"flask/", "", one) for one in whole}
        for table in (hidden, whole):
            assert sum(value(cells[2]) for cells in table.values()) == 125
        assert hidden["view cart.py:3"][0] == whole["view cart.py:3"][0]


def test_several_requests_together(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.task(cart.service, cart.task)) as visitor:
        visitor.page.locator("#choose-0").check()
        visitor.page.locator("#choose-1").check()
        assert visitor.text("#together") == "Flame graph of 2 chosen requests"
        visitor.click("#together")
        shown(visitor)
        told = numbers(visitor)
        assert told["total"] == kinds(told) == 125 + 115
        assert told["waiting"] == 20 + 80


def test_part_of_the_time(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.profile(cart.service, cart.task, cart.segments[:1])) as visitor:
        shown(visitor)
        visitor.page.locator("#afrom").fill("60")
        visitor.page.locator("#ato").fill("90")
        visitor.click("text=Show that part")
        visitor.page.locator(".number[data-kind=total]:has-text('30 ms')").wait_for()
        told = numbers(visitor)
        assert (told["working"], told["waiting"]) == (10, 20)  # the last 10 ms only the callers share
        assert kinds(told) == 30
        visitor.click("text=Show all")
        visitor.page.locator(".number[data-kind=total]:has-text('125 ms')").wait_for()


def test_a_difference(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.profile(cart.service, cart.task, cart.segments[:1])) as visitor:
        shown(visitor)
        visitor.page.locator(f"input[name=b][value='{cart.segments[1]}']").check()
        visitor.click("#compare-show")
        visitor.page.locator("h1:text-is('Difference')").wait_for()
        shown(visitor)
        table = rows(visitor)
        assert [value(cell) for cell in table["request"]] == [125, 115, -10]
        assert [value(cell) for cell in table["[waiting]"]] == [20, 80, 60]
        assert [value(cell) for cell in table["[queued]"]] == [20, 0, -20]
        waiting = visitor.page.locator("g.frame:has-text('[waiting]') rect").get_attribute("fill")
        queued = visitor.page.locator("g.frame:has-text('[queued]') rect").get_attribute("fill")
        assert red(waiting) > 0 > red(queued)


def test_a_difference_of_several_is_one_of_a_request_on_average(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.profile(cart.service, cart.task, cart.segments, f"&b={cart.segments[1]}")) as visitor:
        shown(visitor)
        table = rows(visitor)
        assert [value(cell) for cell in table["request"]] == [120, 115, -5]
        assert [value(cell) for cell in table["[waiting]"]] == [50, 80, 30]


def red(colour: str | None) -> int:
    """How much redder than blue it is."""
    parts = [int(part) for part in re.findall(r"\d+", colour or "")]
    return parts[0] - parts[2]


def test_kinds_have_colours_of_their_own(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.profile(cart.service, cart.task, cart.segments[:1])) as visitor:
        shown(visitor)
        fills = [
            visitor.page.locator(f"g.frame:has-text('{name}') rect").first.get_attribute("fill")
            for name in ("price cart.py:7", "[waiting]", "[queued]", "not sampled")
        ]
        assert len(set(fills)) == 4


def test_search_and_zoom(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.profile(cart.service, cart.task, cart.segments[:1])) as visitor:
        shown(visitor)
        visitor.page.locator("#search").fill("PRICE")
        assert visitor.text(".found").startswith("1 frame, 50 ms, 40.0 %")
        visitor.page.locator("#search").fill(".*")
        assert visitor.text(".found").startswith("0 frames, 0 ms")
        frame = visitor.page.locator("g.frame", has_text="price cart.py:7").first
        narrow = width(frame.get_attribute("width"))
        frame.click()
        assert width(frame.get_attribute("width")) > 2 * narrow
        details = visitor.text("#frame-details")
        assert "cart.py:7" in details
        assert "50 ms" in details
        visitor.click("text=Reset zoom")
        assert width(frame.get_attribute("width")) == narrow


def width(text: str | None) -> float:
    return float(text or 0)


def test_coverage_status_and_duration_are_listed(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.task(cart.service, cart.task)) as visitor:
        visitor.page.locator("td:has-text('%')").nth(1).wait_for()
        first = " ".join(visitor.text("main tbody tr").split())
        assert re.search(r"GET 200 125 ms 88\.0 % \d\d:\d\d:\d\d one", first), first
        assert "Finished" in visitor.text("li[aria-current=step]")


def test_a_mark_is_where_its_caller_is(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.profile(cart.service, cart.task, cart.segments[:1])) as visitor:
        shown(visitor)
        visitor.page.locator("#hide-framework").uncheck()
        visitor.page.locator("g.frame", has_text="[waiting]").first.click()
        assert "in recv socket.py:70" in visitor.text("#frame-details")
        visitor.page.locator("#hide-framework").check()
        visitor.page.locator("g.frame", has_text="[waiting]").first.click()
        assert "in view cart.py:3" in visitor.text("#frame-details")


def test_many_endpoints_are_shown_on_demand(visit: Visiting, site: Site, channel: grpc.Channel) -> None:
    agent = Agent(channel, "wide", "one")
    for number in range(25):
        agent.request(0, number, f"/{number}")
    with visit(f"{site.page}#/service/{service_id('wide')}") as visitor:
        visitor.page.locator("#profile-19").wait_for()
        assert visitor.page.locator("[id^=profile-]").count() == 20
        visitor.click("text=Show all 25 endpoints")
        visitor.page.locator("#profile-24").wait_for()
        assert visitor.page.locator("#all-endpoints").count() == 0


def test_a_service_without_a_process_says_so(visit: Visiting, site: Site, cart: Profiled) -> None:
    with visit(site.page) as visitor:
        visitor.change("$service: ID!){listInstances", lambda _: {"data": {"listInstances": []}})
        visitor.page.goto(f"{site.page}#/service/{service_id(cart.service)}")
        visitor.page.locator("text=No process of it was heard of in the last 5 minutes").wait_for()
        assert visitor.violations() == []
        visitor.page.unroute_all(behavior="wait")
        visitor.page.locator("text=No process of it was heard of").wait_for(state="detached")


def test_a_task_that_profiled_nothing_says_what_to_do(
    visit: Visiting, site: Site, channel: grpc.Channel, client: OapClient
) -> None:
    found = profiled(channel, client, [], service="quiet")
    with visit(site.task(found.service, found.task)) as visitor:
        visitor.page.locator("text=No request of it was profiled").wait_for()


def test_the_slowest_request_that_snapshots_tell_of_is_to_be_looked_at_first(
    visit: Visiting, site: Site, channel: grpc.Channel, client: OapClient
) -> None:
    agent = Agent(channel, "under-way", "one")
    agent.request(0, 1, "/slow")
    task = client.create_task("under-way", "/slow")
    start = int(agent.commands()[0]["StartTime"])
    primary = {}
    with visit(site.task("under-way", task)) as visitor:
        for number, (duration, told) in enumerate([(900, 1), (100, 90), (300, 290), (200, 200)]):
            end = start + 1000 * number + duration
            segment = agent.request(end - duration, end, "/slow")
            agent.snapshots(task, segment, [(0, end - told, ["/slow"]), (1, end, ["/slow"])])
            visitor.page.locator(f"tr:has(#flame-{number}) td:has-text('%')").wait_for()
            primary[number] = [one.get_attribute("id") for one in visitor.page.locator("a.primary").all()]
    assert primary == {0: [], 1: ["flame-1"], 2: ["flame-2"], 3: ["flame-2"]}


def test_where_no_request_is_told_of_the_slowest_is_to_be_looked_at(
    visit: Visiting, site: Site, channel: grpc.Channel, client: OapClient
) -> None:
    found = profiled(channel, client, [[["/cart"]] * 2, [["/cart"]] * 3], service="hardly", missing=900)
    with visit(site.task(found.service, found.task)) as visitor:
        visitor.page.locator("a.primary#flame-1").wait_for()
        assert visitor.page.locator("a.primary").count() == 1


@pytest.mark.parametrize(
    ("field", "given", "why"),
    [
        ("duration", "16", "Profile for: a whole number from 1 to 15 minutes."),
        ("duration", "", "Profile for: a whole number"),
        ("samples", "10", "Requests: a whole number from 1 to 9."),
        ("period", "9", "A snapshot every: a whole number from 10"),
        ("minDuration", "-1", "Only if longer than: a whole number from 0"),
        ("minDuration", "1.5", "Only if longer than: a whole number from 0"),
    ],
)
def test_limits_are_checked(visit: Visiting, site: Site, cart: Profiled, field: str, given: str, why: str) -> None:
    with visit(f"{site.page}#/service/c2hvcA==.1") as visitor:
        visitor.click("#profile-0")
        visitor.page.locator(f"#{field}").fill(given)
        visitor.click("#start")
        assert why in visitor.text(".refusal")
        assert visitor.page.evaluate("document.activeElement.id") == field


def test_a_refusal_is_told_and_what_is_in_the_way(
    visit: Visiting, site: Site, channel: grpc.Channel, client: OapClient
) -> None:
    Agent(channel, "busy", "one").request(0, 1, "/slow")
    client.create_task("busy", "/slow", duration=3)
    with visit(f"{site.page}#/service/{service_id('busy')}") as visitor:
        visitor.click("#profile-0")
        visitor.click("#start")
        visitor.page.locator(".refusal:has-text('already has monitor task')").wait_for()
        assert re.search(r"Until \d\d:\d\d:\d\d there is another task of the service\.$", visitor.text(".refusal"))
        assert visitor.violations() == []
        visitor.click(".refusal a")
        visitor.page.locator("h1 bdi:text-is('/slow')").wait_for()
        assert visitor.page.locator("dialog").count() == 0


def test_progress_is_live(visit: Visiting, site: Site, channel: grpc.Channel, client: OapClient) -> None:
    agent = Agent(channel, "live", "one")
    agent.request(0, 1, "/slow")
    task = client.create_task("live", "/slow", samples=2)
    with visit(site.task("live", task)) as visitor:
        step = visitor.page.locator
        step("li[aria-current=step]:has-text('Waiting for agents')").wait_for()
        assert visitor.violations() == []
        start = int(agent.commands()[0]["StartTime"])
        step("li[aria-current=step]:has-text('Notified')").wait_for()
        assert visitor.violations() == []
        segment = agent.request(start, start + 20, "/slow")
        agent.snapshots(task, segment, [(0, start, ["/slow"]), (1, start + 20, ["/slow"])])
        step("li[aria-current=step]:has-text('Sampling')").wait_for()
        assert "1 of at most 2 requests profiled" in visitor.text(".panel")
        step("td:has-text('100.0 %')").wait_for()
        assert visitor.violations() == []
        agent.finish(task)
        step("li[aria-current=step]:has-text('Finished')").wait_for()
