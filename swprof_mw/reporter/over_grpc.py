"""Calls to the backend with the grpc library. Importing this imports grpc."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from swprof_mw.reporter.status import CallError

if TYPE_CHECKING:
    from swprof_mw.reporter.tls import Trust

Stub = Callable[..., Any]


class GrpcChannel:
    """Calls to one backend. Made and used as `swprof_mw.reporter.plain.PlainChannel` is.

    Args:
        address: ``HOST:PORT``.
        trust: the files for TLS.
        connecting: seconds that it may take to connect.
    """

    def __init__(self, address: str, trust: Trust, connecting: float) -> None:
        options = _options(connecting)
        if trust.enabled:
            credentials = grpc.ssl_channel_credentials(*trust.files())
            self._channel = grpc.secure_channel(address, credentials, options=options)
        else:
            self._channel = grpc.insecure_channel(address, options=options)

    def unary_unary(self, path: str, request_serializer: Any, response_deserializer: Any) -> Stub:
        """The callable that makes a call with one message."""
        return partial(_call, self._channel.unary_unary(path, request_serializer, response_deserializer))

    def stream_unary(self, path: str, request_serializer: Any, response_deserializer: Any) -> Stub:
        """The callable that makes a call with an iterable of messages."""
        return partial(_call, self._channel.stream_unary(path, request_serializer, response_deserializer))

    def close(self) -> None:
        """End the connection, and break off the call that another thread makes."""
        self._channel.close()


def hook_forks() -> None:
    """Let grpc hook what it does at a fork, if it does anything: with its first channel."""
    grpc.insecure_channel("127.0.0.1:1").close()


def _call(stub: Stub, request: Any, **options: Any) -> Any:
    try:
        return stub(request, **options)
    except grpc.RpcError as error:
        raise _described(error) from error


def _described(error: Any) -> CallError:
    code, details = getattr(error, "code", None), getattr(error, "details", None)
    return CallError(code().name if code else type(error).__name__, str(details() if details else error))


def _options(connecting: float) -> tuple[tuple[str, int], ...]:
    """A call that fails is retried by us, with what was kept: grpc's own retries and reconnect pauses come on top."""
    return (
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", 200),
        # What is called a minimal backoff is what a connection attempt may take.
        ("grpc.min_reconnect_backoff_ms", int(connecting * 1000)),
        ("grpc.max_reconnect_backoff_ms", 3000),
        ("grpc.use_local_subchannel_pool", 1),
    )
