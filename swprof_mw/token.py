"""The token that the backend asks for, on its way."""

from __future__ import annotations

import ipaddress

from swprof_mw.config import Config


def sent_in_clear(config: Config) -> list[str]:
    """The backends, ``HOST:PORT``, that the token would be sent to over a network without TLS."""
    if not config.authentication or config.force_tls or config.tls_ca or config.tls_cert:
        return []
    return [address for address in config.backend_services if not _is_here(address)]


def _is_here(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
