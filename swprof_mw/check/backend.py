"""Whether the backend is reached, by the agent's own client and settings, and what is in the way."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple
from urllib.request import proxy_bypass

from swprof_mw.check import probing
from swprof_mw.check.finding import Finding, finding
from swprof_mw.clock import NS_PER_MS, monotonic_ns
from swprof_mw.config import Config
from swprof_mw.names import instance_name
from swprof_mw.reporter import protocol
from swprof_mw.reporter.channel import CallFailed, Connection, Refused, Untrusted
from swprof_mw.reporter.transport import needs_grpc, proxy

#: No task was created later: none is told, or noted as told.
_LATEST = 2**63 - 1
_NO_ENTRY = ("PERMISSION_DENIED", "UNAUTHENTICATED")

_CERTIFICATE = "set tls_cert and tls_key to a certificate of ours, from an authority that it accepts, and its key"

#: By what the reporter says is wrong with TLS.
_TLS = {
    "speaks TLS, and we do not": ("tls-expected", "set force_tls, or tls_ca to the authority of its certificate"),
    "does not speak TLS": ("tls-not-spoken", "switch TLS on in the backend, or take force_tls, tls_ca, tls_cert away"),
    "has expired": ("tls-expired", "renew the backend's certificate"),
    "is not valid yet": ("tls-not-yet", "put the clocks right, or the backend's certificate"),
    "is for another host": ("tls-name", "give a name that the certificate has, or have it made for this one"),
    "comes from no authority": ("tls-authority", "set tls_ca to the PEM file of the authority that has signed it"),
    "demands a certificate": ("tls-client", _CERTIFICATE),
    "without a certificate of ours": ("tls-client", _CERTIFICATE),
    "accept our certificate": ("tls-client", _CERTIFICATE),
    "no authorities can be read": ("tls-files", "give a PEM file with the authority's certificate"),
    "are no certificate with its key": ("tls-files", "give a certificate and its own key, both as PEM files"),
}
_TLS_OTHERWISE = ("tls-failed", "compare what both sides ask for: versions of TLS, ciphers, certificates")


class Reached(NamedTuple):
    """How a call to one address ended.

    Attributes:
        address: ``HOST:PORT``.
        milliseconds: until it was answered; None if it was not.
        finding: what was in the way.
    """

    address: str
    milliseconds: float | None
    finding: Finding | None = None


def reach(config: Config, service: str, address: str, timeout: float) -> Reached:
    """Ask the backend at ``HOST:PORT`` for tasks of a service, as an agent does, but for none that there are.

    Args:
        config: the settings.
        service: what the service is called.
        address: one of ``backend_services``.
        timeout: seconds.
    """
    instance = instance_name("check", socket.gethostname(), os.getpid(), str)
    query = protocol.ProfileTaskCommandQuery(service=service, serviceInstance=instance, lastCommandTime=_LATEST)
    connection = Connection(replace(config, backend_services=(address,)), plain=not needs_grpc(config))
    began = monotonic_ns()
    try:
        connection.call(protocol.GET_PROFILE_TASK_COMMANDS, query, timeout)
    except CallFailed as error:
        return Reached(address, None, _found(config, address, error, timeout))
    finally:
        connection.close()
    return Reached(address, (monotonic_ns() - began) / NS_PER_MS)


def _found(config: Config, address: str, error: CallFailed, timeout: float) -> Finding:
    if isinstance(error, Untrusted):
        return _of_tls(address, str(error))
    if isinstance(error, Refused):
        return _of_refusal(config, address, error)
    host = address.rpartition(":")[0].strip("[]")
    if proxy() and not proxy_bypass(host):
        words = f"{address} is not reached through the proxy that the environment names ({error})"
        return finding("proxy", words, f"add {host} to no_proxy, or let the proxy pass calls to it")
    return probing.of_connection(address, timeout) or probing.of_talk(address)


def _of_tls(address: str, fault: str) -> Finding:
    id_, mend = next((told for words, told in _TLS.items() if words in fault), _TLS_OTHERWISE)
    http = probing.of_http(address) if id_ == "tls-not-spoken" else None
    return http or finding(id_, f"no TLS to {address}: {fault}", mend)


def _of_refusal(config: Config, address: str, error: Refused) -> Finding:
    words = f"{address} refuses the call ({error})"
    if error.code in _NO_ENTRY:
        if not config.authentication:
            return finding("token-missing", words, "set authentication to the backend's token")
        return finding("token-refused", words, "put authentication right: it is not the backend's token")
    mend = "is it an OAP whose module receiver-profile is on? The backend's log says more"
    return probing.of_http(address) or finding("call-refused", words, mend)


def for_each(config: Config, service: str, timeout: float, tell: Callable[[str], None]) -> list[Reached]:
    """All addresses, one after the other; ``tell`` is told of each before. Of several, one that answers is enough."""
    found = []
    for address in config.backend_services:
        tell(address)
        found.append(reach(config, service, address, timeout))
    if any(one.finding is None for one in found):
        return [one._replace(finding=one.finding and one.finding._replace(severity="warning")) for one in found]
    return found
