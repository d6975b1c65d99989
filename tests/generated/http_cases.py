"""Generated HTTP requests for the sites in ``tests/sites``: some are as they should be, most are not quite."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from hypothesis import strategies as st

from tests.generated.amount import mixed

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.integers(0, 4).map(str)
CODES = st.sampled_from(["400", "401", "403", "404", "405", "418", "500", "503", "200", "204", "7", "999"])
_ODD_PATHS = [
    "/",
    "//",
    "/%00",
    "/%ff",
    "/items",
    "/items/x/y",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/away",
    "/fail/",
    "/static/",
]
PATHS = mixed(
    (2, st.builds("/items/{}/{}".format, NUMBERS, WORDS.map(quote))),
    (1, st.builds("/abort/{}".format, CODES)),
    (2, st.builds("/{}/{}".format, st.sampled_from(["stream", "broken", "stream_later", "broken_later"]), NUMBERS)),
    (2, st.builds("/{}/{}".format, st.sampled_from(["later", "worker", "stream-worker", "part"]), WORDS.map(quote))),
    (1, st.builds("/part/{}/here".format, WORDS.map(quote))),
    (2, st.sampled_from(["/", "/fail", "/away/", "/away", "/file", "/sized", "/static/swprof-test-file.txt", "/talk"])),
    (1, st.sampled_from(_ODD_PATHS)),
    (1, st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(lambda text: "/" + quote(text, safe="/%"))),
)
#: How a client goes away; as the name in a query its value says after how many messages or chunks.
LEAVING = ["gone", "reset", "cancel", "close", "drop"]
METHODS = mixed(
    (6, st.just("GET")),
    (3, st.sampled_from(["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "M-SEARCH", "get"])),
)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Host": st.sampled_from(["shop.test", "shop.test:80", "[::1]:80", "a..b", "shop.test\x7f", ""]),
        "Cookie": VALUES | st.sampled_from(["a=b; c=d", "sessionid=x", ";;=;"]),
        "Range": st.sampled_from(
            ["bytes=0-9", "bytes=-5", "bytes=69990-", "bytes=5-1", "bytes=0-1,4-5", "lines=1", "bytes="]
        ),
        "If-None-Match": st.sampled_from(["*", '"x"', 'W/"x"']),
        "If-Modified-Since": st.sampled_from(["Tue, 14 Nov 2023 22:13:20 GMT", "yesterday"]),
        "Accept-Language": st.sampled_from(["de", "en;q=x", "*"]),
        "sw8": VALUES | st.sampled_from(["1-YQ==-YQ==-1-YQ==-YQ==-YQ==-YQ=="]),
        "X-Any": VALUES,
    },
)


class Request(NamedTuple):
    """One HTTP request.

    Attributes:
        path: quoted.
        query: quoted, without its question mark.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def leaving(self) -> tuple[str, int]:
        """How the client goes away, and after how many messages or chunks; an empty text if it stays."""
        how, _, number = self.query.partition("=")
        return (how, int(number)) if how in LEAVING else ("", 0)

    @property
    def decoded(self) -> str:
        """The path as ASGI has it."""
        return unquote_to_bytes(self.path).decode("utf-8", "replace")


REQUESTS = st.builds(
    Request,
    METHODS,
    PATHS,
    VALUES.map(quote)
    | st.sampled_from(["a=b&a=c", "%", "%ff=%00"])
    | st.builds("{}={}".format, st.sampled_from(LEAVING), st.integers(0, 3)),
    HEADERS,
    st.binary(max_size=20) | st.just(b""),
)

_RANGES = ["bytes=0-9", "bytes=-5", "bytes=69990-", "bytes=0-1,4-5", "bytes=99999-"]
#: One request of each kind, none of which is left to chance.
USUAL = [
    Request("GET", path, "a=b", {"Host": "shop.test", "Cookie": "a=b"}, b"")
    for path in [
        *[
            "/",
            "/items/7/x",
            "/items/7/%C3%A9",
            "/nowhere",
            "/away",
            "/away/",
            "/fail",
            "/file",
            "/sized",
            "/part/x/here",
        ],
        *["/later/x", "/worker/x", "/talk", "/refuse", "/static/swprof-test-file.txt"],
        *["/stream/3", "/stream/0", "/stream-worker/3", "/stream_later/3", "/broken/2", "/broken_later/2", "/broken/0"],
        *[f"/abort/{code}" for code in (204, 403, 404, 500)],
    ]
]
USUAL += [Request("GET", "/file", "", {"Host": "shop.test", "Range": value}, b"") for value in _RANGES]
USUAL += [
    Request(method, "/", "", {"Host": "shop.test"}, b"body") for method in ("HEAD", "POST", "PUT", "OPTIONS", "TRACE")
]
USUAL += [Request("HEAD", path, "", {"Host": "shop.test"}, b"") for path in ("/file", "/stream/3", "/items/7/x")]
