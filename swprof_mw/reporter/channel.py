"""The connection to the backend: addresses, TLS, token, and the pause after a failure. Imports grpc."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from swprof_mw.reporter.backoff import Backoff

if TYPE_CHECKING:
    from swprof_mw.config import Config
    from swprof_mw.reporter.protocol import Call

#: Each call ends within so many seconds, one way or the other.
DEADLINE = 4.0
_LONGEST_PAUSE = 3.0

# A call that fails is retried by us, with what was kept: grpc's own retries and long reconnect pauses come on top.
# The "backoff" that is called minimal is what a connection attempt may take, TLS included.
_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 3000),
    ("grpc.max_reconnect_backoff_ms", 3000),
    ("grpc.use_local_subchannel_pool", 1),
)
_TIMED_OUT = "DEADLINE_EXCEEDED"
#: The statuses of a backend that is not there. With any other one it is, and has something against this call.
_NOT_THERE = frozenset({"UNAVAILABLE", _TIMED_OUT, "CANCELLED"})


class CallFailed(Exception):
    """A call failed; the message says how, in the words of the backend or of grpc.

    Attributes:
        code: the status, for example ``INVALID_ARGUMENT``; empty if the failure was on our side.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unavailable(CallFailed):
    """Nobody answered. The next call goes to the next address; if all of them have failed, after a pause."""

    @property
    def timed_out(self) -> bool:
        """Whether the time was over: perhaps there was too much to do in it."""
        return self.code == _TIMED_OUT


class Refused(CallFailed):
    """The backend answered that it does not take this call: nothing is wrong with the connection."""


class Connection:
    """One backend out of several, changed when it fails. Used by one thread only.

    Args:
        config: addresses, TLS and token.
        jitter: gives a number from 0 to 1, for tests.
    """

    def __init__(self, config: Config, jitter: Callable[[], float] = random.random) -> None:
        self._addresses: Sequence[str] = config.backend_services
        self._config = config
        self._index = 0
        self._channel: Any = None
        self._stubs: dict[str, Callable[..., Any]] = {}
        self._metadata = (("authentication", config.authentication),) if config.authentication else ()
        self._backoff = Backoff(_LONGEST_PAUSE, jitter=jitter)
        self._failures = 0
        self._answered = False
        self._refused = False
        self.last_error = ""

    @property
    def address(self) -> str:
        """The backend in use, ``HOST:PORT``."""
        return self._addresses[self._index]

    @property
    def choices(self) -> int:
        """How many addresses there are."""
        return len(self._addresses)

    @property
    def wait(self) -> float:
        """Seconds until a call may be tried: 0, or what is left of the pause after all addresses have failed."""
        return self._backoff.wait

    def call(self, call: Call, request: Any, deadline: float | None = None) -> Any:
        """Make a call with one message, or with an iterator of messages for a streaming one; the answer.

        Args:
            deadline: seconds, `DEADLINE` at the most.

        Raises:
            Unavailable: nobody answered.
            Refused: the backend does not take it.
        """
        timeout = DEADLINE if deadline is None else min(deadline, DEADLINE)
        try:
            answer = self._stub(call)(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._failed(*_describe(error)) from error
        except (OSError, ValueError, RuntimeError) as error:
            raise self._failed("", f"{type(error).__name__}: {error}") from error
        self._answered = True
        self._failures = 0
        self._backoff.succeeded()
        return answer

    def move_on(self) -> None:
        """An address that has refused whatever it was asked is left for the next one."""
        if self._refused and not self._answered and self.choices > 1:
            self._leave()

    def cancel(self) -> None:
        """End the call in progress. The one method for other threads."""
        channel = self._channel
        if channel is not None:
            channel.close()

    def close(self) -> None:
        """End the connection; the next call opens another one."""
        channel, self._channel = self._channel, None
        self._stubs.clear()
        if channel is not None:
            channel.close()

    def _stub(self, call: Call) -> Callable[..., Any]:
        if self._channel is None:
            self._channel = self._open()
        key = f"{call.path} {call.streaming}"
        stub = self._stubs.get(key)
        if stub is None:
            stub = self._stubs[key] = call.stub(self._channel)
        return stub

    def _open(self) -> Any:
        self._answered = self._refused = False
        config = self._config
        if not (config.force_tls or config.tls_ca or config.tls_cert):
            return grpc.insecure_channel(self.address, options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_read(config.tls_ca),
            private_key=_read(config.tls_key),
            certificate_chain=_read(config.tls_cert),
        )
        return grpc.secure_channel(self.address, credentials, options=_OPTIONS)

    def _failed(self, code: str, error: str) -> CallFailed:
        self.last_error = error
        if code and code not in _NOT_THERE:
            self._refused = True
            return Refused(code, error)
        self._leave()
        return Unavailable(code, error)

    def _leave(self) -> None:
        """Go to the next address; once none is left that has not failed, pause."""
        self.close()
        self._index = (self._index + 1) % self.choices
        self._failures += 1
        if self._failures % self.choices == 0:
            self._backoff.failed()


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None


def _describe(error: Any) -> tuple[str, str]:
    """A failed call's status, and that with its details: ``PERMISSION_DENIED: …``."""
    code, details = getattr(error, "code", None), getattr(error, "details", None)
    name = code().name if code else type(error).__name__
    return name, f"{name}: {details() if details else error}"
