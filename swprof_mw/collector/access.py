"""Who may talk to the collector: which addresses need a token, and whether the right one was shown."""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Callable
from typing import Any

import grpc

from swprof_mw.reporter import protocol

METADATA = "authentication"
"""The metadata in which agents send their token with each call."""

_TOKEN = re.compile(r"[!-~]+")


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


class TokenInterceptor(grpc.ServerInterceptor):
    """Refuses calls without the right token, before any of their messages is read."""

    def __init__(self, token: str) -> None:
        self._token = token

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The call's own handler, or one that refuses it."""
        given = [value for key, value in handler_call_details.invocation_metadata if key == METADATA]
        if len(given) == 1 and is_right(given[0], self._token):
            found: grpc.RpcMethodHandler[Any, Any] | None = continuation(handler_call_details)
            return found
        return _REFUSAL


def _refuse(_messages: object, context: grpc.ServicerContext) -> Any:
    context.abort(grpc.StatusCode.PERMISSION_DENIED, f"the metadata {METADATA!r} does not hold the right token")


# As a stream, whatever the call is: of a stream nothing is read unasked.
_REFUSAL: grpc.RpcMethodHandler[Any, Any] = grpc.stream_unary_rpc_method_handler(
    _refuse, response_serializer=protocol.Commands.SerializeToString
)
