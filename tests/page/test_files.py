"""Files by button, the report among them, which needs nothing but itself; and what the page is made of."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import grpc
import pytest
from playwright.sync_api import Request

from swprof_mw.export.html import encode
from swprof_mw.export.profile import Profile, Stack
from swprof_mw.query.client import OapClient
from tests.page.browser import ROOT, WEB, modules
from tests.page.conftest import Visiting
from tests.page.site import Profiled, Site, profiled
from tests.page.states import shown

STACKS = [*[["/cart", "cart.py.view: 3", "cart.py.price: 7"]] * 6, *[["/cart", "cart.py.view: 4", "[waiting]"]] * 4]


@pytest.fixture(scope="module")
def cart(channel: grpc.Channel, client: OapClient) -> Profiled:
    return profiled(channel, client, [STACKS, STACKS[3:]], missing=10)


def noted(asked: list[str], request: Request) -> None:
    """Keep what a browser asks for."""
    asked.append(request.url)


def saved(visit: Visiting, address: str, form: str, directory: Path) -> Path:
    """The file that a button saves."""
    with visit(address) as visitor:
        shown(visitor)
        with visitor.page.expect_download() as download:
            visitor.click(f"#export-{form}")
        target = directory / download.value.suggested_filename
        download.value.save_as(target)
        visitor.page.locator(f"text=Saved as {target.name}").wait_for()
    return target


def test_each_format_is_saved(visit: Visiting, site: Site, cart: Profiled, tmp_path: Path) -> None:
    address = site.profile(cart.service, cart.task, cart.segments)
    names = []
    for form in ("speedscope", "collapsed", "pprof", "html"):
        file = saved(visit, address, form, tmp_path)
        names.append(re.sub(r"\d{8}T\d{6}Z", "", file.name))
        content = file.read_bytes()
        if form == "speedscope":
            assert [one["endValue"] for one in json.loads(content)["profiles"]] == [90, 60]
        elif form == "collapsed":
            assert b"/cart;cart.py.view: 3;cart.py.price: 7 " in content
        elif form == "pprof":
            assert b"cart.py" in gzip.decompress(content)
    assert names == ["profile-.speedscope.json", "profile-.collapsed.txt", "profile-.pb.gz", "profile-.html"]


def test_a_part_of_the_time_is_saved(visit: Visiting, site: Site, cart: Profiled, tmp_path: Path) -> None:
    address = site.profile(cart.service, cart.task, cart.segments[:1], "&afrom=0&ato=50")
    (found,) = json.loads(saved(visit, address, "speedscope", tmp_path).read_bytes())["profiles"]
    assert found["endValue"] == 50


def test_a_report_opens_from_a_disk(visit: Visiting, site: Site, cart: Profiled, tmp_path: Path) -> None:
    file = saved(visit, site.profile(cart.service, cart.task, cart.segments), "html", tmp_path)
    for look in ("light", "dark"):
        with visit(file.as_uri(), color_scheme=look, offline=True) as visitor:
            asked: list[str] = []
            visitor.page.on("request", partial(noted, asked))
            visitor.page.reload()
            shown(visitor)
            assert asked == [file.as_uri()]
            assert visitor.text(".number[data-kind=total] strong") == "170 ms"
            visitor.page.locator("fieldset input").nth(1).uncheck()
            visitor.page.locator(".number[data-kind=total]:has-text('100 ms')").wait_for()
            visitor.page.locator("g.frame", has_text="price").click()
            assert "cart.py:7" in visitor.text("#frame-details")
            assert visitor.violations() == []


def test_only_the_reports_own_script_runs(visit: Visiting, tmp_path: Path) -> None:
    content = encode([Profile("GET /e", 0, 20, (Stack(("/e",), 20, 2),))]).decode()
    file = tmp_path / "report.html"
    file.write_text(content.replace("</body>", "<script>document.title = 'taken over'</script></body>"))
    with visit(file.as_uri()) as visitor:
        shown(visitor)
        assert visitor.page.title() == "GET /e"
        assert "Content Security Policy" in visitor.trouble.pop()


def test_types() -> None:
    command = [str(modules() / ".bin" / "tsc"), "-p", str(WEB / "tsconfig.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout


def test_what_is_vendored_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "vendor.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
