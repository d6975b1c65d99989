"""What is between the HTTP server and the app: no web page may ask through a person's browser, no stranger at all."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from swprof_mw.page.access import is_right

_SAME = ("same-origin", "none")


class Guard:
    """Answers by itself what may not be asked; the app sees only the rest.

    A page of another site can make a browser send a request here, and, once its own name leads to this address, even
    read the answer. The first shows in ``Origin`` and ``Sec-Fetch-Site``, the second in ``Host``. Programs like curl
    send neither of the first two. The token, where there is one, no page knows.

    Args:
        app: the app.
        host: the name or address that the server was told to listen on.
        token: what ``Authorization: Bearer`` must bring; empty: nothing.
        public: paths that hold nothing of anybody's. A browser that is led there cannot show the token yet, and a link
            to them may stand on any site.
    """

    def __init__(self, app: ASGIApp, host: str, token: str, public: Collection[str] = ()) -> None:
        self._app = app
        self._host = host.lower()
        self._token = token
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it."""
        refusal = self._refusal(scope, Headers(scope=scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        hosts = headers.getlist("host")
        public = scope["method"] in ("GET", "HEAD") and scope["path"] in self._public
        if len(hosts) != 1:
            return _refused(400, "there must be one Host header")
        if not (_same_origin(headers, hosts[0]) or (public and _is_visit(headers))):
            return _refused(403, "requests from web pages of other origins are not answered")
        if not self._token:
            return (
                None if self._is_ours(hosts[0]) else _refused(403, "the Host header is not an address of this server")
            )
        kind, _, given = headers.get("authorization", "").partition(" ")
        if public or (kind.lower() == "bearer" and is_right(given.strip(), self._token)):
            return None
        return _refused(401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})

    def _is_ours(self, host: str) -> bool:
        """Whether it is no name that a stranger could make lead here: an address, localhost, or what we were told."""
        ours = name(host)
        return ours in ("localhost", self._host) or ours.endswith(".localhost") or _is_address(ours)


def _same_origin(headers: Headers, host: str) -> bool:
    """Whether the request comes from no page, or from one of this server's own."""
    origins = headers.getlist("origin")
    own = all(_authority(origin) == host.lower() for origin in origins)
    return own and all(site in _SAME for site in headers.getlist("sec-fetch-site"))


def _is_visit(headers: Headers) -> bool:
    """Whether a person follows a link: the page that holds it sees nothing of what comes."""
    shown = [headers.getlist(name) for name in ("origin", "sec-fetch-mode", "sec-fetch-dest")]
    return shown == [[], ["navigate"], ["document"]]


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def name(host: str) -> str:
    """A Host header's name or address, without the port; empty if it is neither."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refused(status: int, why: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"errors": [{"message": why}]}, status, headers)
