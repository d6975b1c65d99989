"""Who makes the calls: our own client, or the grpc library."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from swprof_mw.reporter import tls

if TYPE_CHECKING:
    from swprof_mw.config import Config

#: Where grpc looks for a proxy.
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")


def wants_grpc(config: Config) -> bool:
    """Whether the calls need the grpc library, which takes 14 MB and some threads more than our own client.

    They do if the setting ``transport`` says so, if the environment names a proxy, which our own client does not know,
    and for TLS where there is no ``ssl`` for us (under gevent it is gevent's) or nothing that says whom to trust:
    grpc brings a list of authorities along.
    """
    if config.transport == "grpc" or proxy():
        return True
    return tls.Trust(config).enabled and not (tls.usable() and tls.trusted(config))


def proxy() -> str:
    """The proxy that the environment names for grpc; empty if it names none."""
    return next(filter(None, map(os.environ.get, _PROXIES)), "") or ""
