"""Write docs/pictures anew: ``python -m tests.page.pictures``. Look at each before it is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from swprof_mw.collector.server import Collector
from swprof_mw.query.client import OapClient, Span, service_id
from tests.examples import EXAMPLES, Orders, running, show_endpoints
from tests.page.browser import ROOT, Visitor, launched, visiting
from tests.page.states import shown
from tests.waiting import eventually

DIRECTORY = ROOT / "docs" / "pictures"
EXAMPLE = EXAMPLES[2]
GRPC, HTTP = 11800, 12800
"""The ports that a user sees."""
REQUESTS = 5
"""That the form suggests."""


def keep(visitor: Visitor, name: str) -> None:
    """Write one picture: the whole page, without the pointer on anything."""
    visitor.page.mouse.move(0, 0)
    visitor.page.wait_for_timeout(300)
    visitor.page.screenshot(path=DIRECTORY / f"{name}.png", full_page=True)


@contextlib.contextmanager
def visitor(browser: Browser, url: str, scheme: str = "light", width: int = 1100) -> Iterator[Visitor]:
    """Somebody with a window of that width."""
    with visiting(browser, url, color_scheme=scheme, viewport={"width": width, "height": 700}) as found:
        yield found


def begin(browser: Browser, collector: Collector) -> None:
    """From the empty collector to a request's flame graph."""
    with visitor(browser, collector.page) as at:
        at.page.locator("ol.steps").wait_for()
        keep(at, "empty")
        with running(EXAMPLE, collector.backend, 3.0) as server:  # so that the task is seen to wait
            show_endpoints(EXAMPLE, server, OapClient(collector.url))
            with Orders(server), Orders(server):
                follow(at)
                eventually(lambda: len(profiled(OapClient(collector.url))[1]) == REQUESTS, "all requests are there", 60)


def follow(at: Visitor) -> None:
    """The states that show an app at work."""
    at.page.locator("#service-0").wait_for()
    keep(at, "services")
    at.click("#service-0")
    at.page.locator("#profile-0").wait_for()
    at.page.locator("td .recent").nth(2).wait_for()
    keep(at, "service")
    at.click("#profile-0")
    at.page.screenshot(path=DIRECTORY / "form.png")
    at.click("#start")
    at.page.locator("li[aria-current=step]:has-text('Waiting for agents')").wait_for()
    keep(at, "waiting")
    at.page.locator("a.primary").wait_for(timeout=30_000)
    keep(at, "task")


def profiled(client: OapClient) -> tuple[str, list[Span]]:
    """The task, and its requests so far."""
    (task,) = client.tasks(EXAMPLE.service)
    return task.id, [one.entry for one in client.segments(task.id) if one.entry]


def is_told_of(client: OapClient, request: Span) -> bool:
    """Whether it was profiled for most of its time: it may have been under way when the task came."""
    _, trees = client.analyze(request.segment_id, request.start, request.end)
    return 2 * sum(tree[0].duration for tree in trees) > request.end - request.start


def finish(browser: Browser, collector: Collector) -> None:
    """What was profiled."""
    client = OapClient(collector.url)
    task, requests = profiled(client)
    segments = [one.segment_id for one in requests if is_told_of(client, one)]
    address = f"{collector.page}#/profile/{service_id(EXAMPLE.service)}/{task}?a="
    for name, chosen, scheme, width in (
        ("request", segments[0], "light", 1100),
        ("dark", ",".join(segments), "dark", 1100),
        ("narrow", segments[0], "light", 390),
        ("difference", f"{segments[0]}&b={segments[-1]}", "light", 1100),
    ):
        with visitor(browser, address + chosen, scheme, width) as at:
            shown(at)
            if name != "difference":
                at.page.locator("#flame").focus()
                for key in ("ArrowDown", "ArrowDown", "ArrowDown"):
                    at.page.keyboard.press(key)
            keep(at, name)
            if name == "request":
                report(browser, at)


def report(browser: Browser, at: Visitor) -> None:
    """The HTML report, as it opens from a disk."""
    with at.page.expect_download() as download:
        at.click("#export-html")
    file = Path(download.value.path()).with_suffix(".html")
    download.value.save_as(file)
    with visitor(browser, file.as_uri()) as opened:
        shown(opened)
        keep(opened, "report")


def locked(browser: Browser) -> None:
    """A server that asks for a token."""
    with Collector(GRPC, HTTP, token="t0ken") as collector, visitor(browser, collector.page) as at:
        at.page.locator("#token").wait_for()
        keep(at, "token")
        at.trouble.clear()  # the browser tells of each 401


def main() -> None:
    """Write all of them."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, launched(playwright.chromium) as browser, Collector(GRPC, HTTP) as collector:
        begin(browser, collector)
        finish(browser, collector)
    with sync_playwright() as playwright, launched(playwright.chromium) as browser:
        locked(browser)


if __name__ == "__main__":
    main()
