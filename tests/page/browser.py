"""A browser that tells what went wrong in it, and tools of npm. What is missing is a failure, never a skip."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserType, ConsoleMessage, Dialog, Error, Page, Route

from tests.environments import CACHE

ROOT = Path(__file__).resolve().parent.parent.parent
WEB = ROOT / "scripts" / "web"
SYSTEM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def executable() -> str | None:
    """The system's Chromium, or none for the one that ``playwright install chromium`` has put there."""
    return next(filter(None, map(shutil.which, SYSTEM)), None)


def launched(kind: BrowserType) -> Browser:
    """A browser: whichever Chromium there is."""
    try:
        return kind.launch(executable_path=executable())
    except Error as error:
        raise AssertionError(f"no Chromium: make test-page installs one; none of {SYSTEM} on the path") from error


@functools.cache
def modules() -> Path:
    """``node_modules`` with the versions of scripts/web/package-lock.json, made once."""
    names = ("package.json", "package-lock.json")
    digest = hashlib.sha256(b"".join((WEB / name).read_bytes() for name in names)).hexdigest()[:12]
    directory = CACHE / f"web-{digest}"
    directory.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"web-{digest}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "complete").exists():
            for name in names:
                shutil.copy(WEB / name, directory)
            npm = shutil.which("npm")
            assert npm, "npm is needed, and not on the path"
            command = [npm, "ci", "--no-audit", "--no-fund", "--silent"]
            done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=600)
            assert done.returncode == 0, f"npm ci:\n{done.stdout}{done.stderr}"
            (directory / "complete").touch()
    return directory / "node_modules"


@dataclass
class Visitor:
    """Somebody before a page; ``trouble`` is whatever the browser complains of, or asks another host for."""

    page: Page
    trouble: list[str] = field(default_factory=list)
    clicks: int = 0

    def click(self, selector: str, timeout: float = 10.0) -> None:
        """Click it once it is there, within so many seconds; counted."""
        self.page.locator(selector).first.click(timeout=1000 * timeout)
        self.clicks += 1

    def text(self, selector: str = "main") -> str:
        """What is read there."""
        return self.page.locator(selector).first.inner_text()

    def change(self, query: str, changed: Callable[[Any], Any]) -> None:
        """Let the server's answers to queries that hold that text be changed ones."""

        def answer(route: Route) -> None:
            if query not in json.loads(route.request.post_data or "{}").get("query", ""):
                return route.fallback()
            response = route.fetch()
            return route.fulfill(response=response, json=changed(response.json()))

        self.page.route("**/graphql", answer)

    def violations(self) -> list[str]:
        """What axe-core finds wrong in the state that is shown."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate((modules() / "axe-core" / "axe.min.js").read_text())  # the policy keeps scripts out
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {[(node['target'], node['failureSummary']) for node in one['nodes'][:3]]}"
            for one in found["violations"]
        ]


@contextmanager
def visiting(browser: Browser, url: str, **options: Any) -> Iterator[Visitor]:
    """A visitor of ``url`` in a browser without a past, who found no trouble in the end."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    try:
        visitor = Visitor(context.new_page())
        _listen(visitor, urlsplit(url).netloc)
        visitor.page.goto(url)
        yield visitor
    finally:
        context.close()
    assert not visitor.trouble


def _listen(visitor: Visitor, host: str) -> None:
    page, trouble = visitor.page, visitor.trouble

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            trouble.append(message.text)

    def asks(dialog: Dialog) -> None:
        trouble.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def asked(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != host:
            trouble.append(f"asks another host: {url}")

    page.on("console", said)
    page.on("dialog", asks)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: asked(request.url))


def environment(name: str) -> str:
    """A variable's value, or nothing."""
    return os.environ.get(name, "")
