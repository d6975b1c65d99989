"""The page's states, and how to get to each: for what has to hold in all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from swprof_mw.query.client import service_id
from tests.page.browser import Visitor
from tests.page.site import Profiled, Site

Opening = Callable[[Visitor, Site, Profiled], None]


def services(visitor: Visitor, site: Site, found: Profiled) -> None:
    """The list of services."""
    visitor.page.goto(f"{site.page}#/")
    visitor.page.locator(f"a:has(bdi:text-is('{found.service}'))").wait_for()


def service(visitor: Visitor, site: Site, found: Profiled) -> None:
    """The endpoints of one."""
    visitor.page.goto(f"{site.page}#/service/{service_id(found.service)}")
    visitor.page.locator("#profile-0").wait_for()
    visitor.page.locator("#task-0").wait_for()


def form(visitor: Visitor, site: Site, found: Profiled) -> None:
    """The form for a new task."""
    service(visitor, site, found)
    visitor.page.locator("#profile-0").click()
    visitor.page.locator("dialog").wait_for()


def refused(visitor: Visitor, site: Site, found: Profiled) -> None:
    """The form, filled in wrongly."""
    form(visitor, site, found)
    visitor.page.locator("#period").fill("1")
    visitor.page.locator("#start").click()
    visitor.page.locator(".refusal:not(:empty)").wait_for()


def task(visitor: Visitor, site: Site, found: Profiled) -> None:
    """A task with its requests."""
    visitor.page.goto(site.task(found.service, found.task))
    visitor.page.locator("a.primary").first.wait_for()
    visitor.page.locator("td:has-text('%')").first.wait_for()


def profile(visitor: Visitor, site: Site, found: Profiled) -> None:
    """A request's flame graph."""
    visitor.page.goto(site.profile(found.service, found.task, found.segments[:1]))
    shown(visitor)


def frame(visitor: Visitor, site: Site, found: Profiled) -> None:
    """The same, with the framework, a search, and one frame chosen."""
    profile(visitor, site, found)
    visitor.page.locator("#hide-framework").uncheck()
    visitor.page.locator("g.frame").nth(2).click()
    visitor.page.locator("#zoom-in").wait_for()
    visitor.page.locator("#search").fill("p")


def part(visitor: Visitor, site: Site, found: Profiled) -> None:
    """A part of the time of all requests."""
    visitor.page.goto(site.profile(found.service, found.task, found.segments, "&afrom=20&ato=60"))
    shown(visitor)


def difference(visitor: Visitor, site: Site, found: Profiled) -> None:
    """Two requests compared."""
    visitor.page.goto(site.profile(found.service, found.task, found.segments[:1], f"&b={found.segments[1]}"))
    shown(visitor)


def nothing(visitor: Visitor, site: Site, found: Profiled) -> None:
    """A task that is not there."""
    visitor.page.goto(site.task(found.service, "gone"))
    visitor.page.locator("text=No such task").wait_for()


def shown(visitor: Visitor) -> None:
    """Wait for a flame graph with its labels."""
    visitor.page.locator("g.frame .d3-flame-graph-label:not(:empty)").first.wait_for()


def is_wider_than_the_screen(visitor: Visitor) -> bool:
    """Whether the page as a whole scrolls sideways."""
    return bool(visitor.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def cut_off(visitor: Visitor) -> list[str]:
    """The buttons that somebody would have to scroll sideways for."""
    found: list[str] = visitor.page.evaluate(
        "[...document.querySelectorAll('button, .button, input, select')]"
        ".filter((one) => one.getBoundingClientRect().right > innerWidth).map((one) => one.id)"
    )
    return found


STATES: Mapping[str, Opening] = {
    one.__name__: one for one in (services, service, form, refused, task, profile, frame, part, difference, nothing)
}
