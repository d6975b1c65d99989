"""HTTP to an OAP: queries go to one address and nowhere else, and answers have bounds."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

WITHIN = 30.0
"""Seconds to wait for an answer, until its last byte."""

LONGEST_ANSWER = 64 * 1024 * 1024
"""Bytes."""

LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})


class OapError(Exception):
    """OAP could not be asked, or did not answer as it should; the text says which and why."""


@dataclass(frozen=True)
class Reply:
    """What came back, whatever the status; ``reason`` is the text beside it."""

    status: int
    reason: str
    content: bytes


def bearer(token: str) -> str:
    """The ``Authorization`` header of that token. Raises ``ValueError``, without it, if it cannot be sent."""
    if not (token.isascii() and token.isprintable()):
        raise ValueError("not printable ASCII")
    return f"Bearer {token}"


def basic(user: str, password: str) -> str:
    """The ``Authorization`` header of that name and password. Raises ``ValueError`` if the name cannot be sent."""
    if ":" in user or not user.isprintable():
        raise ValueError("a name has no colon, and prints")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode()


class Transport:
    """Posts JSON to the GraphQL of the OAP at ``url`` (``http://127.0.0.1:12800``, with or without ``/graphql``).

    Proxies come from the environment, for loopback there are none. Redirects are not followed: a query is not for
    others, and what is shown with it neither.

    Args:
        url: where it is.
        authorization: the header of that name; empty: none.

    Raises:
        ValueError: ``url`` is not http(s), or holds more than a host, a port and a path.
    """

    def __init__(self, url: str, authorization: str = "") -> None:
        self.base = _checked(url)
        self.url = self.base + "/graphql"
        local = urllib.parse.urlsplit(url).hostname in LOCAL
        proxies = [urllib.request.ProxyHandler({})] if local else []  # what a proxy is for, loopback is not
        secured = [_Https(ssl.create_default_context())] if self.base.startswith("https") else []
        self._opener = urllib.request.build_opener(*proxies, *secured, _Http, _AnyStatus)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if authorization:
            self._headers["Authorization"] = authorization

    def post(self, body: bytes) -> Reply:
        """What is answered to that JSON. Raises ``OapError`` if nothing is, in time."""
        request = urllib.request.Request(self.url, body, self._headers)  # noqa: S310 checked above
        try:
            with self._opener.open(request, timeout=WITHIN) as response:
                content = response.read(LONGEST_ANSWER + 1)
                if len(content) > LONGEST_ANSWER:
                    raise OapError(f"{self.url} answers more than {LONGEST_ANSWER} bytes")
                return Reply(response.status, response.reason or "", content)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise OapError(f"cannot reach {self.url}: {getattr(error, 'reason', error)}") from error


def _checked(url: str) -> str:
    """The address without ``/graphql`` and slashes at its end."""
    parts = urllib.parse.urlsplit(url)
    if "@" in parts.netloc:  # not shown: it has a password
        raise ValueError("the address must not have a name or a password in it")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"not an http address: {url!r}")
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError(f"not an address that can be asked: {url!r}")
    _ = parts.port  # a ValueError if it is none
    return url.rstrip("?#/").removesuffix("/graphql").rstrip("/")


class _Response(http.client.HTTPResponse):
    """Has to come whole within the connection's timeout; by itself that is for each part of it."""

    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp = io.BufferedReader(_Until(sock, self.fp.detach(), time.monotonic() + (sock.gettimeout() or WITHIN)))


class _Until(io.RawIOBase):
    """Reads from ``raw``, which is a socket's, until ``latest`` on the monotonic clock."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, latest: float) -> None:
        super().__init__()
        self._socket, self._raw, self._latest = sock, raw, latest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._latest - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Connection(http.client.HTTPConnection):
    response_class = _Response


class _TlsConnection(http.client.HTTPSConnection):
    response_class = _Response


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _Https(urllib.request.HTTPSHandler):
    """Trusts the system's authorities, or those that ``SSL_CERT_FILE`` names."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._trusted = context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_TlsConnection, req, context=self._trusted)


class _AnyStatus(urllib.request.HTTPErrorProcessor):
    """Hands every answer over as it is: what a status means is the asker's, and redirects are not followed."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:
        return response

    https_response = http_response
