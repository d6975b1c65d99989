"""A backend in this process that keeps all it is told, and fails as it is bidden: what a reporter has to live with."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc

from swprof_mw.records import TaskCommand
from swprof_mw.reporter import protocol

CALLS = {
    call.method: call
    for call in (
        protocol.GET_PROFILE_TASK_COMMANDS,
        protocol.COLLECT_SNAPSHOT,
        protocol.REPORT_TASK_FINISH,
        protocol.COLLECT_SEGMENTS,
        protocol.COLLECT_SEGMENTS_IN_SYNC,
        protocol.REPORT_INSTANCE_PROPERTIES,
        protocol.KEEP_ALIVE,
    )
}
PROPERTIES = protocol.REPORT_INSTANCE_PROPERTIES.method
KEEP_ALIVE = protocol.KEEP_ALIVE.method
QUERY = protocol.GET_PROFILE_TASK_COMMANDS.method
SEGMENTS = protocol.COLLECT_SEGMENTS_IN_SYNC.method
SNAPSHOTS = protocol.COLLECT_SNAPSHOT.method
FINISH = protocol.REPORT_TASK_FINISH.method
_WORKERS = 32


@dataclass
class Received:
    """One call as it came in.

    Attributes:
        method: its name without the service, for example ``keepAlive``.
        messages: the request, or all that came of a stream of them.
        token: of its metadata ``authentication``; None if it had none.
        at: monotonic seconds.
        answered: whether the client was told that all is well.
    """

    method: str
    token: str | None
    messages: list[Any] = field(default_factory=list)
    at: float = field(default_factory=time.monotonic)
    answered: bool = False


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a call.

    Attributes:
        status: it ends with that status; None: it is answered.
        details: what the status comes with.
        delay: it takes so many seconds longer.
        hangs: it is never answered.
        after: of a stream, so many messages are read before it fails; None: all of them.
        concerns: whether a request is hit at all, by its first message.
        times: so many calls are hit; None: all.
    """

    status: grpc.StatusCode | None = None
    details: str = "as it was bidden"
    delay: float = 0.0
    hangs: bool = False
    after: int | None = None
    concerns: Callable[[Any], bool] = lambda message: True
    times: int | None = None


class Backend:
    """Listens on a free port of 127.0.0.1 from ``start`` to ``stop``; a context manager. ``start`` again: same port.

    Args:
        token: what the metadata ``authentication`` must be; empty: anything will do.
        tls: private key and certificate chain, PEM; None: no TLS.
        client_ca: PEM of the authority that clients' certificates must come from; None: they need none.

    Attributes:
        tls, client_ca: what it presents, and asks for, from the next start on.
        received: every call so far, also those that failed.
        commands: what a query is answered with, by the service that asks; each is sent once.
        faults: by method; ``*`` is for all the others.
    """

    def __init__(self, token: str = "", tls: tuple[bytes, bytes] | None = None, client_ca: bytes | None = None) -> None:
        self.received: list[Received] = []
        self.commands: dict[str, list[TaskCommand]] = {}
        self.faults: dict[str, Fault] = {}
        self.port = 0
        self._token = token
        self.tls = tls
        self.client_ca = client_ca
        self._hits: dict[str, int] = {}
        self._server: grpc.Server | None = None
        self._changed = threading.Condition()
        self._stopping = threading.Event()

    @property
    def address(self) -> str:
        """``HOST:PORT``, the same one after a stop too. With TLS the name that the certificate is for."""
        return f"{'localhost' if self.tls else '127.0.0.1'}:{self.port}"

    def start(self) -> Backend:
        """Listen; returns itself."""
        self._stopping = threading.Event()
        server = grpc.server(
            ThreadPoolExecutor(_WORKERS),
            handlers=[_Handlers(self._answer)],
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20)],
        )
        where = f"127.0.0.1:{self.port}"
        if self.tls is None:
            self.port = server.add_insecure_port(where)
        else:
            credentials = grpc.ssl_server_credentials([self.tls], self.client_ca, self.client_ca is not None)
            self.port = server.add_secure_port(where, credentials)
        server.start()
        self._server = server
        return self

    def stop(self) -> None:
        """Refuse connections; calls in progress end at once. May be called again."""
        server, self._server = self._server, None
        self._stopping.set()
        if server is not None:
            server.stop(0).wait()

    def __enter__(self) -> Backend:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def fault(self, method: str = "*", **fault: Any) -> None:
        """Let calls of ``method`` fail from now on; see `Fault` for how."""
        self._hits.pop(method, None)
        self.faults[method] = Fault(**fault)

    def heal(self, at_once: bool = True) -> None:
        """No call fails any more. Those that hang end; not ``at_once``: they hang on, only others are well."""
        self.faults.clear()
        if not at_once:
            return
        self._stopping.set()
        self._stopping = threading.Event()

    def calls(self, method: str, answered: bool = True) -> list[Received]:
        """The calls of ``method``, oldest first; with ``answered`` False also those that failed."""
        with self._changed:
            return [call for call in self.received if call.method == method and (call.answered or not answered)]

    def messages(self, method: str) -> list[Any]:
        """All messages in the answered calls of ``method``."""
        return [message for call in self.calls(method) for message in call.messages]

    def segments(self) -> list[Any]:
        """The segments it took."""
        return [segment for message in self.messages(SEGMENTS) for segment in message.segments]

    def wait(self, condition: Callable[[], bool], timeout: float = 15.0, what: str = "") -> None:
        """Wait until ``condition`` holds.

        Raises:
            AssertionError: it does not, ``timeout`` seconds long.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, (
                what or f"waited in vain; received: {[(each.method, each.answered) for each in self.received]}"
            )
            with self._changed:
                self._changed.wait(min(left, 0.05))

    def _answer(self, call: protocol.Call, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        metadata = {str(pair[0]): str(pair[1]) for pair in context.invocation_metadata()}
        record = Received(call.method, metadata.get("authentication"))
        with self._changed:
            self.received.append(record)
        if self._token and record.token != self._token:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "the token is wrong")
        first = next(requests, None)
        fault = self._fault_of(call.method, first)
        for message in _counted(first, requests, fault):
            record.messages.append(message)
        self._fail(fault, context)
        with self._changed:
            record.answered = True
            self._changed.notify_all()
        return self._commands(first) if call.method == QUERY else call.response()

    def _fault_of(self, method: str, message: Any) -> Fault:
        key = method if method in self.faults else "*"
        fault = self.faults.get(key, Fault())
        with self._changed:
            hits = self._hits.get(key, 0)
            if (fault.times is not None and hits >= fault.times) or not fault.concerns(message):
                return Fault()
            self._hits[key] = hits + 1
        return fault

    def _fail(self, fault: Fault, context: grpc.ServicerContext) -> None:
        if fault.hangs:
            self._stopping.wait(60)
            context.abort(grpc.StatusCode.CANCELLED, "it hung to the end")
        self._stopping.wait(fault.delay)
        if fault.status is not None:
            context.abort(fault.status, fault.details)

    def _commands(self, query: Any) -> Any:
        with self._changed:
            due = self.commands.pop(query.service, [])
        return protocol.Commands(
            commands=[
                protocol.Command(
                    command=command.name,
                    args=[
                        protocol.KeyStringValuePair(key=key, value=value) for key, value in command.arguments.items()
                    ],
                )
                for command in due
            ]
        )


class _Handlers(grpc.GenericRpcHandler):
    """Every call of the protocol, answered by one function."""

    def __init__(self, answer: Callable[[protocol.Call, Iterator[Any], grpc.ServicerContext], Any]) -> None:
        self._answer = answer

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of one incoming call; None if it is none of the protocol."""
        call = CALLS.get(handler_call_details.method.rpartition("/")[2])
        if call is None or call.path != handler_call_details.method:
            return None
        return grpc.stream_unary_rpc_method_handler(
            lambda requests, context: self._answer(call, requests, context),
            request_deserializer=call.request.FromString,
            response_serializer=call.response.SerializeToString,
        )


def _counted(first: Any, rest: Iterator[Any], fault: Fault) -> Iterator[Any]:
    """The messages of a call, as far as they are read."""
    count = 0
    message = first
    while message is not None and (fault.after is None or count < fault.after):
        yield message
        count += 1
        message = next(rest, None) if fault.after is None or count < fault.after else None


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """The address of something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@contextlib.contextmanager
def full() -> Iterator[str]:
    """The address of something to which no connection comes about: its backlog is full, the kernel drops what comes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening, contextlib.ExitStack() as waiting:
        for _ in range(3):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def task_command(endpoint: str, serial: str = "serial-1", **changes: object) -> TaskCommand:
    """The command of a task that starts now, for a minute, sampled every 10 ms; ``changes`` are arguments of it."""
    now = time.time_ns() // 1_000_000
    arguments: dict[str, object] = {
        "SerialNumber": serial,
        "TaskId": f"task-{serial}",
        "EndpointName": endpoint,
        "Duration": 1,
        "MinDurationThreshold": 0,
        "DumpPeriod": 10,
        "MaxSamplingCount": 9,
        "StartTime": now,
        "CreateTime": now,
    }
    return TaskCommand("ProfileTaskQuery", {key: str(value) for key, value in {**arguments, **changes}.items()})
