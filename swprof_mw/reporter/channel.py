"""The connection to the backend: addresses, TLS, token, and the pause after a failure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from swprof_mw.clock import monotonic_ns
from swprof_mw.reporter.backoff import Backoff
from swprof_mw.reporter.plain import PlainChannel
from swprof_mw.reporter.status import CallError
from swprof_mw.reporter.tls import Trust

if TYPE_CHECKING:
    from swprof_mw.config import Config
    from swprof_mw.reporter.protocol import Call

#: Each call ends within so many seconds, one way or the other.
DEADLINE = 4.0
#: Where there is another address to go to, a call is given up earlier, seconds.
_DEADLINE_OF_SEVERAL = 3.0
_LONGEST_PAUSE = 2.0
#: All addresses but the one that is back may be black holes: to find it they all get so long to connect, seconds.
_ROUND = 3.0
_LEAST_TO_CONNECT = 1.0

_TIMED_OUT = "DEADLINE_EXCEEDED"
#: The statuses of a backend that is not there. With any other one it is, and has something against this call.
_NOT_THERE = frozenset({"UNAVAILABLE", _TIMED_OUT, "CANCELLED"})


class CallFailed(Exception):
    """A call failed; the message says how, in the words of the backend or of the client.

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


class Untrusted(Unavailable):
    """TLS does not come about, and nothing but another certificate or file will change that; the message says why."""


class Interrupted(CallFailed):
    """The call was broken off on our side, for a fork. It is to be made again."""


class Refused(CallFailed):
    """The backend answered that it does not take this call: nothing is wrong with the connection."""


class Connection:
    """One backend out of several, changed when it fails. Used by one thread only.

    Args:
        config: addresses, TLS and token.
        jitter: gives a number from 0 to 1, for tests.
        plain: whether to do without grpc.
    """

    def __init__(self, config: Config, jitter: Callable[[], float] = random.random, plain: bool = False) -> None:
        self._addresses: Sequence[str] = config.backend_services
        self._config = config
        self._index = 0
        self._channel: Any = None
        self._stubs: dict[str, Callable[..., Any]] = {}
        self._metadata = (("authentication", config.authentication),) if config.authentication else ()
        self._backoff = Backoff(_LONGEST_PAUSE, jitter=jitter)
        self._failures = 0
        self._round_began = 0
        self._trust = Trust(config)
        self._answered = False
        self._refused = False
        self._plain = plain
        self._interrupted: Any = None
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
            Interrupted: it was broken off.
        """
        longest = min(DEADLINE, _DEADLINE_OF_SEVERAL) if self.choices > 1 else DEADLINE
        timeout = longest if deadline is None else min(deadline, longest)
        began = monotonic_ns()
        if self._failures % self.choices == 0:
            self._round_began = began
        fault = self._trust.fault_before(self.address, timeout) if self._channel is None else ""
        if fault:
            raise self._unreachable("", "", fault)
        try:
            answer = self._stub(call)(request, timeout=timeout, metadata=self._metadata)
        except CallError as error:
            raise self._failed(error.code, str(error), timeout) from error
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise self._failed("", f"{type(error).__name__}: {error}", timeout) from error
        self._answered = True
        self._failures = 0
        self._trust.connected()
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

    def interrupt(self) -> None:
        """Break the call in progress off: it raises ``Interrupted``, or the next one does. For other threads too."""
        # The channel, and no mark that a call would have to take away: another one may just begin.
        self._interrupted = self._channel
        self.cancel()

    def go_plain(self) -> None:
        """Do without grpc from now on."""
        self.close()
        self._plain = True

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
        connecting = _connecting(self.choices)
        if self._plain:
            return PlainChannel(self.address, self._trust.context() if self._trust.enabled else None, connecting)
        from swprof_mw.reporter.over_grpc import GrpcChannel

        return GrpcChannel(self.address, self._trust, connecting)

    def _failed(self, code: str, error: str, timeout: float) -> CallFailed:
        if self._interrupted is not None and self._interrupted is self._channel:
            self._interrupted = None
            self.close()
            return Interrupted(code, error)
        self.last_error = error = self._masked(error)
        if code and code not in _NOT_THERE:
            self._refused = True
            return Refused(code, error)
        asked = code in ("", "UNAVAILABLE") and not self._answered
        fault = self._trust.fault_after(self.address, error, timeout) if asked else ""
        return self._unreachable(code, error, fault)

    def _unreachable(self, code: str, error: str, fault: str) -> Unavailable:
        self._leave()
        if not fault:
            return Unavailable(code, error)
        self.last_error = fault if not error or fault in error else f"{fault} ({error})"
        return Untrusted(code, self.last_error)

    def _masked(self, error: str) -> str:
        """Without the token, which a backend may repeat."""
        token = self._config.authentication
        return error.replace(token, "[token]") if token else error

    def _leave(self) -> None:
        """Go to the next address; once none is left that has not failed, pause."""
        self.close()
        self._index = (self._index + 1) % self.choices
        self._failures += 1
        if self._failures % self.choices == 0:
            self._backoff.failed(self._round_began)


def _connecting(choices: int) -> float:
    """Seconds that it may take to connect to one of so many addresses, TLS included."""
    return max(_ROUND / max(choices - 1, 1), _LEAST_TO_CONNECT)
