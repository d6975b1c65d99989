"""A browser for all tests here, and a collector with its page for those of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import grpc
import pytest
from playwright.sync_api import Browser, sync_playwright

from swprof_mw.query.client import OapClient
from tests.page.browser import Visitor, launched, visiting
from tests.page.site import Site, connected, site

Visiting = Callable[..., AbstractContextManager[Visitor]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of it needs a browser."""
    for item in items:
        if "tests/page/" in item.path.as_posix():
            item.add_marker(pytest.mark.page)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, launched(playwright.chromium) as started:
        yield started


@pytest.fixture
def visit(browser: Browser) -> Visiting:
    """``visit(url, color_scheme="dark")``."""
    return partial(visiting, browser)


@pytest.fixture(scope="module", name="site")
def _site() -> Iterator[Site]:
    with site() as found:
        yield found


@pytest.fixture(scope="module")
def channel(site: Site) -> Iterator[grpc.Channel]:
    with connected(site) as found:
        yield found


@pytest.fixture(scope="module")
def client(site: Site) -> OapClient:
    return OapClient(site.page)
