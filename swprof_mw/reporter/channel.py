"""The connection to the backend: addresses, TLS, token, and the pause after a failure."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swprof_mw.clock import monotonic_ns

if TYPE_CHECKING:
    from swprof_mw.config import Config
    from swprof_mw.reporter.protocol import Call

logger = logging.getLogger("swprof_mw")

#: Each call ends within so many seconds, one way or the other.
DEADLINE = 4.0
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 3.0

# A call that fails is retried by us, with what was kept: grpc's own retries and long reconnect pauses come on top.
_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
)


class Unavailable(Exception):
    """A call failed; the message says how, in the words of the backend or of grpc."""


class Connection:
    """One backend out of several, changed when it fails. Used by one thread only, which imports grpc here.

    Args:
        config: addresses, TLS and token.
        jitter: gives a number from 0 to 1, for tests.
    """

    def __init__(self, config: Config, jitter: Callable[[], float] = random.random) -> None:
        self._addresses: Sequence[str] = config.backend_services
        self._config = config
        self._jitter = jitter
        self._index = 0
        self._channel: Any = None
        self._stubs: dict[str, Callable[..., Any]] = {}
        self._metadata = (("authentication", config.authentication),) if config.authentication else ()
        self._pause = 0.0
        self._paused_until = 0
        self.last_error = ""

    @property
    def address(self) -> str:
        """The backend in use, ``HOST:PORT``."""
        return self._addresses[self._index]

    @property
    def ready(self) -> bool:
        """Whether a call may be tried now, or the pause after a failure is not over yet."""
        return monotonic_ns() >= self._paused_until

    def call(self, call: Call, request: Any, deadline: float = DEADLINE) -> Any:
        """Make a call with one message, or with an iterator of messages for a streaming one; the answer.

        Raises:
            Unavailable: it failed. The next call goes to the next address, after a pause.
        """
        import grpc

        try:
            answer = self._stub(call)(request, timeout=deadline, metadata=self._metadata)
        except grpc.RpcError as error:
            self._failed(_describe(error))
            raise Unavailable(self.last_error) from error
        except (OSError, ValueError, RuntimeError) as error:
            self._failed(f"{type(error).__name__}: {error}")
            raise Unavailable(self.last_error) from error
        self._succeeded()
        return answer

    def close(self) -> None:
        """End the connection; the next call opens another one."""
        channel, self._channel = self._channel, None
        self._stubs.clear()
        if channel is not None:
            channel.close()

    def _stub(self, call: Call) -> Callable[..., Any]:
        if self._channel is None:
            self._channel = self._open()
        stub = self._stubs.get(call.path)
        if stub is None:
            stub = self._stubs[call.path] = call.stub(self._channel)
        return stub

    def _open(self) -> Any:
        import grpc

        config = self._config
        if not (config.force_tls or config.tls_ca or config.tls_cert):
            return grpc.insecure_channel(self.address, options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_read(config.tls_ca),
            private_key=_read(config.tls_key),
            certificate_chain=_read(config.tls_cert),
        )
        return grpc.secure_channel(self.address, credentials, options=_OPTIONS)

    def _failed(self, error: str) -> None:
        if not self._pause:
            logger.warning("the backend %s does not take what is reported (%s); trying on", self.address, error)
        self.last_error = error
        self.close()
        self._index = (self._index + 1) % len(self._addresses)
        # Another address is tried at once; the pause is for when all of them have failed.
        self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        wait = self._pause * (0.5 + self._jitter() / 2) if self._index == 0 else 0.0
        self._paused_until = monotonic_ns() + int(wait * 1e9)

    def _succeeded(self) -> None:
        if self._pause:
            logger.info("the backend %s takes what is reported again", self.address)
        self._pause = 0.0
        self._paused_until = 0


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None


def _describe(error: Any) -> str:
    """A failed call's status and details: ``PERMISSION_DENIED: …``."""
    code, details = getattr(error, "code", None), getattr(error, "details", None)
    return f"{code().name if code else type(error).__name__}: {details() if details else error}"
