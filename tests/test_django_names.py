"""The names of a Django site's endpoints: one row a case, under WSGI and under ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from tests import django_project
from tests.asgi_driver import acall, http
from tests.recorded import Recorded
from tests.wsgi_client import ask

# isort: split
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from django.urls import clear_script_prefix, get_script_prefix, set_script_prefix

UNMATCHED = "<unmatched>"
UUID = "6e0ae5ba-63ac-4e4c-b3d4-6a9a1a2b7f10"
BY_HOST = [*django_project.MIDDLEWARE[:2], "tests.django_project.other_urls.by_host", *django_project.MIDDLEWARE[2:]]

Ask = Callable[..., int]


def under_wsgi(path: str, method: str, host: str, mount: str) -> int:
    """The status of an answer."""
    return int(ask(WSGIHandler(), path, method, HTTP_HOST=host, SCRIPT_NAME=mount).status[:3])


def under_asgi(path: str, method: str, host: str, mount: str) -> int:
    """The status of an answer."""
    raw, _, query = path.partition("?")
    scope = http(mount + unquote(raw), method, root_path=mount, query_string=query.encode())
    scope["headers"] = [(b"host", host.encode())]
    return asyncio.run(acall(ASGIHandler(), scope)).status


CASES = [
    ("GET /", 200, "/"),
    ("GET /users/7?x=1", 200, "/users/<int:uid>"),
    ("HEAD /users/7", 200, "/users/<int:uid>"),
    ("GET /files/a/b%20c", 200, "/files/<path:name>"),
    ("GET /item/1/", 200, "/item/<int:i>/"),
    ("HEAD /item/1/", 200, "/item/<int:i>/"),
    ("OPTIONS /item/1/", 200, "/item/<int:i>/"),
    ("POST /item/1/", 405, "/item/<int:i>/"),
    ("GET /c++/1", 200, "/c++/<int:x>"),
    ("GET /later/1", 200, "/later/<int:x>"),
    ("GET /gone/1/", 404, "/gone/<int:x>/"),
    ("GET /denied", 403, "/denied"),
    ("GET /fail", 500, "/fail"),
    ("GET /template", 200, "/template"),
    (f"GET /one/{UUID}/x/", 200, "/one/<uuid:key>/<slug:s>/"),
    (f"GET /one/{UUID}/", 200, "/one/<uuid:key>/"),
    ("GET /two/x/", 200, "/two/<slug:s>/"),
    ("GET /two/deep/7", 200, "/two/deep/<n>"),
    ("GET /v2/inner/x/", 200, "/v<ver>/inner/<slug:s>/"),
    ("GET /v2/inner/deep/7", 200, "/v<ver>/inner/deep/<n>"),
    ("GET /articles/1999/", 200, "/articles/<year>/"),
    ("GET /unnamed/a/1/x/", 200, "/unnamed/<var>/<var>/<var>/"),
    ("GET /either/left/", 200, "/either/(left|right)/"),
    ("GET /blog/", 200, "/blog/page-<page>/"),
    ("GET /blog/page-2/", 200, "/blog/page-<page>/"),
    ("GET /bracket/a/b/end", 200, "/bracket/<x>/end"),
    ("GET /report.pdf", 200, "/report.<kind>"),
    ("GET /look/at", 200, "/look/<rest>"),
    ("GET /any/thing", 200, "/any/<var>"),
    ("GET /year/1999/", 200, "/year/<var>/"),
    ("GET /plain/regex", 200, "/plain/regex"),
    ("GET /api/things/", 200, "/api/things/"),
    ("GET /api/things/7/", 200, "/api/things/<pk>/"),
    ("GET /api/things.json", 200, "/api/things.<format>/"),
    ("PUT /api/things/7/", 405, "/api/things/<pk>/"),
    ("GET /admin/auth/user/7/change/", 302, "/admin/auth/user/<path:object_id>/change/"),
    ("GET /de/local/3/", 200, "/de/local/<int:x>/"),
    ("GET /en/local/3/", 200, "/en/local/<int:x>/"),
    ("GET /local/3/", 302, UNMATCHED),
    ("GET /nothing", 404, UNMATCHED),
    ("GET /users/x", 404, UNMATCHED),
    ("GET /hello/3", 301, UNMATCHED),
    ("GET /early", 401, UNMATCHED),
    ("GET other.test/only/here/3", 200, "/only/here/<int:x>"),
    ("GET other.test/users/7", 404, UNMATCHED),
    ("GET /users/7 at /app", 200, "/app/users/<int:uid>"),
    ("GET / at /app", 200, "/app/"),
    ("GET /nothing at /app", 404, UNMATCHED),
]


@pytest.mark.parametrize("server", [under_wsgi, under_asgi])
@pytest.mark.parametrize(("asked", "status", "name"), CASES, ids=[case[0] for case in CASES])
def test_a_request_is_named_by_its_route(recorded: Recorded, server: Ask, asked: str, status: int, name: str) -> None:
    method, address, *mount = asked.replace(" at ", " ").split()
    host, _, path = address.partition("/")
    with override_settings(MIDDLEWARE=BY_HOST):
        assert server(f"/{path}", method, host or "shop.test", "".join(mount)) == status
    assert [segment.operation for segment in recorded.segments] == [name]


@pytest.fixture(autouse=True)
def _script_prefix() -> Any:
    """Django keeps the mount of the last request of a thread."""
    before = get_script_prefix()
    yield
    clear_script_prefix()
    set_script_prefix(before)


def test_a_mount_that_the_settings_name(recorded: Recorded) -> None:
    with override_settings(FORCE_SCRIPT_NAME="/forced"):
        assert under_wsgi("/users/7", "GET", "shop.test", "") == 200
    assert recorded.last.operation == "/forced/users/<int:uid>"


def test_names_with_the_method(recorded: Recorded) -> None:
    with override_settings(SWPROF={"endpoint_format": "{method}:{route}", "service_name": "shop"}):
        ask(WSGIHandler(), "/articles/1999/")
        ask(WSGIHandler(), "/nothing")
    assert [segment.operation for segment in recorded.segments] == ["GET:/articles/<year>/", "GET:<unmatched>"]


def test_a_resolver_that_says_no_route_leaves_the_path(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.urls import ResolverMatch, get_resolver

    from tests.django_project.views import ok

    match = ResolverMatch(ok, (), {})
    monkeypatch.setattr(type(get_resolver()), "resolve", lambda *_: match)
    ask(WSGIHandler(), "/made/by/7")
    assert recorded.last.operation == "/made/by/{id}"
