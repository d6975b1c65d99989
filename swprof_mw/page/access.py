"""Who may ask: which addresses need a token, and whether the right one was shown."""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket

_TOKEN = re.compile(r"[!-~]+")


class NotAllowed(ValueError):
    """A server may not listen there so; the text says why."""


def is_token(text: str) -> bool:
    """Whether gRPC's metadata and HTTP's headers both can carry it: printable ASCII without blanks."""
    return _TOKEN.fullmatch(text) is not None


def is_right(given: str | bytes, token: str) -> bool:
    """Whether the token given is the one asked for; how long this takes tells nothing of it."""
    shown = given if isinstance(given, bytes) else given.encode("utf-8", "replace")
    return hmac.compare_digest(shown, token.encode())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address, all of them if it is a name. ``OSError``: there is none."""
    addresses = {str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(host, None)}
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)


def check(host: str, token: str) -> None:
    """Raises ``NotAllowed`` if nothing may listen on ``host`` with that token, or, if it is empty, with none."""
    if token and not is_token(token):
        raise NotAllowed("the token must be printable ASCII without blanks")
    try:
        needed = not is_loopback(host)
    except OSError as error:
        raise NotAllowed(f"no address is known for {host}: {error.strerror or error}") from error
    if needed and not token:
        raise NotAllowed(f"{host} is not loopback: a token is needed, or anybody could read and start profiles")
