"""Who makes the calls: our own client, or the grpc library."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from swprof_mw import native
from swprof_mw.log import fields
from swprof_mw.reporter import tls

if TYPE_CHECKING:
    from swprof_mw.config import Config

logger = logging.getLogger("swprof_mw")

#: Where grpc looks for a proxy.
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")


def needs_grpc(config: Config) -> str:
    """What the calls need the grpc library for, which takes 14 MB and some threads more than our own client.

    Empty if nothing: they need it if the setting ``transport`` says so, if the environment names a proxy, which our own
    client does not know, and for TLS where there is no ``ssl`` for us (under gevent it is gevent's) or nothing that
    says whom to trust: grpc brings a list of authorities along.
    """
    if config.transport == "grpc":
        return "transport is 'grpc'"
    variable = _proxy_variable()
    if variable:
        return f"{variable} is set"
    if not tls.Trust(config).enabled:
        return ""
    if not tls.usable():
        return "gevent has patched ssl" if native.patched() else "this Python has no ssl"
    return "" if tls.trusted(config) else "this system names no authorities for TLS"


def load_grpc(config: Config) -> Callable[[], None] | None:
    """Import the grpc library if the calls need it, and it is there; what to call for its fork handlers, else None.

    Where it is not there our own client has to do: it goes past a proxy, and trusts nobody by itself.
    """
    why = needs_grpc(config)
    if not why:
        return None
    try:
        from swprof_mw.reporter.over_grpc import hook_forks
    except ImportError as error:
        logger.warning(
            "%s, which takes the grpc library, but that cannot be imported (%s): going on without; "
            "pip install 'swprof-mw[grpc]'",
            why,
            error,
            extra=fields("grpc_missing", reason=why, error=str(error)),
        )
        return None
    return hook_forks


def proxy() -> str:
    """The proxy that the environment names for grpc; empty if it names none."""
    return os.environ.get(_proxy_variable(), "")


def _proxy_variable() -> str:
    return next(filter(os.environ.get, _PROXIES), "")
