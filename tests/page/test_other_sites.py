"""What pages of other sites make a browser send comes to nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from swprof_mw.query.client import OapClient
from tests.page.browser import executable
from tests.page.site import Site
from tests.pages import fake_oap

TASK = """mutation {createProfileTask(creationRequest: {serviceId: "c2hvcA==.1", endpointName: "/evil", duration: 1,
    minDurationThreshold: 0, dumpPeriod: 10, maxSamplingCount: 1}) {id}}"""
ATTACK = """<!doctype html><meta charset="utf-8"><iframe name="out"></iframe><script>
const url = URL_, query = QUERY_, body = JSON.stringify({query});
const get = `${url}?query=${encodeURIComponent(query)}`;
const types = ["text/plain", "application/x-www-form-urlencoded", "application/json", "application/graphql"];
const text = (type) => (type.endsWith("graphql") ? query : body);
const post = (type, mode) => fetch(url, {method: "POST", mode, headers: {"Content-Type": type}, body: text(type)});
const sent = types.flatMap((type) => [post(type, "no-cors"), post(type, "cors")]);
const made = (tag, properties) => Object.assign(document.createElement(tag), properties);
const form = made("form", {method: "POST", action: url, enctype: "text/plain", target: "out"});
form.append(made("input", {name: body.slice(0, -1) + ',"x":"', value: '"}'}));
document.documentElement.append(form);
navigator.sendBeacon(url, new Blob([body], {type: "text/plain"}));
const frame = new Promise((done) => document.querySelector("iframe").addEventListener("load", done));
form.submit();
Promise.allSettled([...sent, fetch(get, {mode: "no-cors"}), frame]).then((all) => {
  document.title = all.map((one) => one.value?.type ?? one.status).join(" ");
});
</script>"""


@contextmanager
def another_site(graphql: str) -> Iterator[int]:
    """A site whose page tries to create a task there; its port."""
    page = ATTACK.replace("URL_", json.dumps(graphql)).replace("QUERY_", json.dumps(TASK)).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def attacked(browser: Browser, graphql: str, host: str) -> list[str]:
    """What became of each try of a page of that host: what kind of answer it sees, or that it was rejected."""
    with another_site(graphql) as port, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"http://{host}:{port}/")
        page.wait_for_function("document.title.includes(' ')")
        return page.title().split()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_page_of_another_site_creates_no_task(browser: Browser, site: Site, host: str) -> None:
    with fake_oap() as careless:
        attacked(browser, f"{careless.url}/graphql", host)
        came = [body for method, _, _, body in careless.asked if method == "POST" and b"createProfileTask" in body]
        assert len(came) > 4, "the attack is none"
    results = attacked(browser, f"{site.page}graphql", host)
    assert len(results) == 10
    assert set(results) <= {"opaque", "rejected", "load"}, "another site reads answers"
    assert OapClient(site.page).tasks("shop") == []


def test_a_name_that_leads_here_is_not_answered(browser: Browser, site: Site) -> None:
    """As when a site lets its own name lead to this address, once its page was loaded."""
    port = urlsplit(site.page).port
    rules = ["--host-resolver-rules=MAP rebound.example 127.0.0.1"]
    with browser.browser_type.launch(executable_path=executable(), args=rules) as rebound, rebound.new_page() as page:
        answer = page.goto(f"http://rebound.example:{port}/")
        assert answer
        assert answer.status == 403
        asked = (
            "fetch('/graphql', {method: 'POST', headers: {'Content-Type': 'application/graphql'}, body: '{version}'})"
        )
        assert page.evaluate(f"{asked}.then((one) => one.status)") == 403
