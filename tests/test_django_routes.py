"""Regular expressions of re_path() as names."""

from __future__ import annotations

import time

import pytest

from swprof_mw.django.routes import readable

ROUTES = {
    "": "",
    "users/<int:uid>": "users/<int:uid>",
    "de/ueber/": "de/ueber/",
    "c++/<int:x>": "c++/<int:x>",
    r"^articles/(?P<year>[0-9]{4})/$": "articles/<year>/",
    r"^v(?P<ver>\d+)/inner/<slug:s>/": "v<ver>/inner/<slug:s>/",
    # the REST framework's
    r"api/things/(?P<pk>[^/.]+)/$": "api/things/<pk>/",
    r"api/things\.(?P<format>[a-z0-9]+)/?$": "api/things.<format>/",
    # groups: named and not, in one another, alternatives, optional ones
    r"^a/(b)/(c)/(d)/$": "a/<var>/<var>/<var>/",
    r"^(?P<a>x(?P<b>y))/": "<a>/",
    r"^(foo/(?P<b>\d+))?/$": "foo/<b>/",
    r"^(?:x|y)/z$": "(x|y)/z",
    r"^(?:\d+|[a-z]+)/z$": "<var>/z",
    r"^blog/(?:(?P<page>\d+)/)?$": "blog/<page>/",
    r"^a(?:b|)c$": "abc",
    r"^a/$|^b/$": "a/|b/",
    r"^(?P<slug>[\w-]+)(?:/|\.html)$": "<slug>(/|.html)",
    r"^(?P<y>(?:19|20)\d\d)/(?P<s>[-\w]+)/$": "<y>/<s>/",
    r"^(?P<a>\d+)/(?P=a)/": "<a>/<a>/",
    r"^(a)/\1$": "<var>/<var>",
    r"^(?(1)a|b)": "<var>",
    # sets of characters
    r"^(?P<x>[^)]+)/$": "<x>/",
    r"^[]a]x/$": "<var>x/",
    r"^[^]a]x/$": "<var>x/",
    r"^[a\]b]/$": "<var>/",
    r"^[.]well[-]known[\.]x/$": ".well-known.x/",
    r"^[\d]+/[^/]/$": "<var>/<var>/",
    # escapes, positions, quantifiers
    r"^\w+/\d{4}-\d\d/$": "<var>/<var>-<var>/",
    r"^\Ax\.y\b\Z": "x.y",
    r"^a\\b\(c\)\{1\}": r"a\b(c){1}",
    r"^x{,3}y{}z{2}?$": "xy{}z",
    r"^/?slash/*$": "/slash/",
    r"^robots.txt$": "robots.txt",
    r"^files/.*\.pdf$": "files/<var>.pdf",
    r"^a.+?/b": "a<var>/b",
    "any/.+": "any/<var>",
    "year/x{4}": "year/x",
    # what matches no character of the path
    r"^(?!admin)(?P<rest>.*)$": "<rest>",
    r"^a(?=b)(?<=a)(?<!c)b$": "ab",
    r"(?i)^Case/$": "Case/",
    r"^(?i:Case)/(?-i:x)$": "Case/x",
    r"^x(?#a comment)y$": "xy",
    # not a regular expression, and yet somebody wrote it
    "a)b^": "a)b",
    "a[b": "a[b",
    "a[b.c(d/": "a[b.c(d/",
    "a[b\\": "a[b\\",
    "a(?#b": "a",
    "(a": "",
}


@pytest.mark.parametrize(("route", "name"), ROUTES.items())
def test_a_route_is_readable(route: str, name: str) -> None:
    assert readable(route) == name


def test_a_long_route_takes_no_longer_than_its_length() -> None:
    assert readable("^" + "(?:a" * 2_000 + ")" * 2_000 + "$") == "a" * 2_000
    for opened in ("[", "(?#", "(?i", "(?P<a"):
        began = time.process_time()
        readable("^" + opened * 20_000 + "\\")
        assert time.process_time() - began < 2, opened
