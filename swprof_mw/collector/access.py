"""Which agents may talk to the collector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from swprof_mw.page.access import is_right
from swprof_mw.reporter import protocol

METADATA = "authentication"
"""The metadata in which agents send their token with each call."""


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
