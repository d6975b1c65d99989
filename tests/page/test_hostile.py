"""Names that strangers chose, wherever they are shown, are text."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import grpc
import pytest

from swprof_mw.export.html import encode
from swprof_mw.export.profile import Profile, Stack
from swprof_mw.query.client import OapClient, service_id
from tests.page.browser import Visitor
from tests.page.conftest import Visiting
from tests.page.site import Profiled, Site, profiled
from tests.page.states import is_wider_than_the_screen, shown

NAMES = {
    "markup": "</script><img src=x onerror=alert(1)><b>bold</b>&lt;&quot;'\"",
    "long": "x" * 10_000,
    "right to left": "abc\u202egnp.exe\u2066 \u05d0\u05d1\u05d2",
    "control": "nul\x00bell\x07escape\x1b[31mline\nfeed",
    "template": "{{7*7}}${7*7}<%= 7*7 %>javascript:alert(1)",
    "signs": "../../?a=b#c%2f;é漢字🐍",
}
SHOWN = {
    "markup": NAMES["markup"],
    "long": "xxx … xxx",
    "right to left": "abc\\u{202e}gnp.exe\\u{2066} \u05d0\u05d1\u05d2",
    "control": "nul\\x00bell\\x07escape\\x1b[31mline\\x0afeed",
    "template": NAMES["template"],
    "signs": NAMES["signs"],
}


@pytest.fixture(scope="module", params=NAMES)
def hostile(request: pytest.FixtureRequest, channel: grpc.Channel, client: OapClient) -> tuple[str, Profiled]:
    """Everything has that name: service, process, endpoint, frames; the collector cuts the long ones."""
    name = NAMES[request.param]
    service = f"{list(NAMES).index(request.param)} {name}"[:50]
    stack = [name, f"{name}.{name}: 7", name, "[waiting]"]
    with_task = profiled(channel, client, [[stack] * 4] * 2, service=service, endpoint=name[:100], instance=name[:100])
    return request.param, with_task


@pytest.fixture(scope="module")
def cart(channel: grpc.Channel, client: OapClient) -> Profiled:
    """Everything has a plain name."""
    return profiled(channel, client, [[["/cart", "cart.py.view: 3"]] * 4], service="plain")


def is_plain(visitor: Visitor) -> None:
    """Nothing was made of a name but text."""
    made = visitor.page.locator("main img, main b, main script, header img, dialog img, img, [onerror]").count()
    assert made == 0
    assert visitor.page.evaluate(
        "[...document.querySelectorAll('a')].every((one) => new URL(one.href).protocol != 'javascript:')"
    )


def test_hostile_names_are_text(visit: Visiting, site: Site, hostile: tuple[str, Profiled]) -> None:
    kind, found = hostile
    expected = SHOWN[kind] if kind != "long" else "xxx"
    with visit(site.page) as visitor:
        visitor.page.locator("#service-0").wait_for()
        assert expected in visitor.text().replace("\n", " ")
        is_plain(visitor)
        visitor.page.goto(f"{site.page}#/service/{quote(service_id(found.service), '')}")
        visitor.click("#profile-0")
        assert expected in visitor.text("dialog")
        is_plain(visitor)
        visitor.page.keyboard.press("Escape")
        visitor.page.goto(site.task(found.service, found.task))
        visitor.page.locator("#flame-0").wait_for()
        assert expected in visitor.text()
        is_plain(visitor)
        visitor.click("#flame-0")
        shown(visitor)
        assert visitor.page.locator("g.frame").count() == 5
        visitor.page.locator("g.frame").nth(2).click()
        assert expected in visitor.text("#frame-details")
        is_plain(visitor)
        assert visitor.violations() == []
        box = visitor.page.locator("main").bounding_box()
        assert box
        assert box["height"] < 4000  # ten thousand characters do not bury the rest


def test_hostile_names_are_text_in_a_report(visit: Visiting, tmp_path_factory: pytest.TempPathFactory) -> None:
    stacks = tuple(Stack((name, f"{name}.f: 7", "[waiting]"), 10, 1) for name in NAMES.values())
    for kind, name in NAMES.items():
        file = tmp_path_factory.mktemp("report") / "report.html"
        file.write_bytes(encode([Profile(name, 0, 60, stacks), Profile("other", 0, 60, stacks)]))
        with visit(file.as_uri()) as visitor:
            shown(visitor)
            expected = {"long": "xxx", "right to left": "abc\\u202egnp.exe", "control": "nul\\x00bell"}.get(kind, name)
            assert expected in visitor.text("fieldset")
            assert visitor.page.locator("g.frame").count() == 1 + 3 * len(NAMES)
            is_plain(visitor)


MESSAGES = {
    "markup": NAMES["markup"],
    "long": "xxx … xxx",
    "right to left": "abc\\u{202e}gnp",
    "control": "nul\\x00bell",
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_messages_are_text(visit: Visiting, site: Site, cart: Profiled, kind: str) -> None:
    message, expected = NAMES[kind], MESSAGES[kind]
    with visit(site.page) as visitor:
        visitor.change("createProfileTask", lambda _: {"data": {"createProfileTask": {"errorReason": message}}})
        visitor.page.goto(f"{site.page}#/service/{quote(service_id(cart.service), '')}")
        visitor.click("#profile-0")
        visitor.click("#start")
        visitor.page.locator(".refusal:not(:empty)").wait_for()
        assert expected in visitor.text(".refusal")
        is_plain(visitor)
        visitor.change("getSegmentsProfileAnalyze", lambda told: with_tip(told, message))
        visitor.page.goto(site.profile(cart.service, cart.task, cart.segments))
        shown(visitor)
        assert expected in visitor.text("p.panel")
        is_plain(visitor)
        visitor.change("getProfileTaskSegments", lambda _: {"errors": [{"message": message}]})
        visitor.page.goto(site.task(cart.service, cart.task))
        visitor.page.locator("#alert :not(:empty)").wait_for()
        assert expected in visitor.text("#alert")
        is_plain(visitor)


def with_tip(told: Any, tip: str) -> Any:
    """An analysis that has something to say."""
    told["data"]["getSegmentsProfileAnalyze"]["tip"] = tip
    return told


def test_names_that_an_oap_does_not_cut(visit: Visiting, site: Site, cart: Profiled) -> None:
    """The collector cuts them, others may not."""
    with visit(site.page) as visitor:
        visitor.change("listServices(layer", lambda _: {"data": {"listServices": [{"id": "x", "name": NAMES["long"]}]}})
        visitor.change("findEndpoint(", lambda _: {"data": {"findEndpoint": [{"id": "x", "name": NAMES["long"]}]}})
        visitor.page.goto(f"{site.page}#/task/a/b")
        visitor.page.goto(f"{site.page}#/")
        visitor.page.locator("a:has-text('xxx … xxx')").wait_for()
        assert not is_wider_than_the_screen(visitor)
        visitor.page.goto(f"{site.page}#/service/{quote(service_id(cart.service), '')}")
        visitor.page.locator("th:has-text('xxx … xxx')").wait_for()
        assert not is_wider_than_the_screen(visitor)


@pytest.mark.parametrize(
    "address", ["#/nowhere/<img src=x onerror=alert(1)>", "#/service/%ff", "#/task", "#/profile/a/b?a=<b>"]
)
def test_addresses_that_are_none(visit: Visiting, site: Site, address: str) -> None:
    with visit(f"{site.page}{address}") as visitor:
        visitor.page.locator("h1").wait_for()
        is_plain(visitor)
