"""The side that agents talk to: the protocol's calls, served by gRPC into a store."""

from __future__ import annotations

import contextlib
import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from swprof_mw.collector import checks, decode, tasks
from swprof_mw.collector.access import TokenInterceptor
from swprof_mw.collector.errors import StoreError
from swprof_mw.collector.records import Task, TaskLog
from swprof_mw.collector.store import Store
from swprof_mw.collector.streams import Streams
from swprof_mw.failures import note
from swprof_mw.log import fields
from swprof_mw.reporter import protocol

Answer = Callable[[Any], Any]

WORKERS = 64
"""Calls at once, those that only wait included: further ones are refused, and agents try again."""

LONGEST_MESSAGE = 10 * 1024 * 1024
"""Bytes: a batch of segments comes in one message, and agents send smaller ones when this is too much."""


def server(store: Store, token: str = "", streams: Streams | None = None) -> grpc.Server:
    """A gRPC server, not started and without a port, that keeps in ``store`` what agents send.

    Args:
        store: where to keep it.
        token: what agents must show with each call; empty: nothing.
        streams: the bounds of streams; the default ones by default.
    """
    made = grpc.server(
        ThreadPoolExecutor(WORKERS, thread_name_prefix="swprof-collector"),
        interceptors=[TokenInterceptor(token)] if token else [],
        options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", LONGEST_MESSAGE)],
        maximum_concurrent_rpcs=WORKERS,
    )
    made.add_generic_rpc_handlers(_handlers(store, streams or Streams()))
    return made


def _handlers(store: Store, streams: Streams) -> tuple[grpc.GenericRpcHandler, ...]:
    receiver = Receiver(store)
    calls: list[tuple[protocol.Call, Answer]] = [
        (protocol.COLLECT_SNAPSHOT, receiver.snapshot),
        (protocol.GET_PROFILE_TASK_COMMANDS, receiver.task_commands),
        (protocol.REPORT_TASK_FINISH, receiver.task_finished),
        (protocol.COLLECT_SEGMENTS, receiver.segment),
        (protocol.COLLECT_SEGMENTS_IN_SYNC, receiver.segment_batch),
        (protocol.REPORT_INSTANCE_PROPERTIES, receiver.instance_properties),
        (protocol.KEEP_ALIVE, receiver.keep_alive),
    ]
    grouped = itertools.groupby(calls, key=lambda pair: pair[0].service)
    return tuple(
        grpc.method_handlers_generic_handler(
            service, {call.method: _handler(call, answer, store, streams) for call, answer in pairs}
        )
        for service, pairs in grouped
    )


def _handler(call: protocol.Call, answer: Answer, store: Store, streams: Streams) -> grpc.RpcMethodHandler[Any, Any]:
    """The messages come in as bytes: what is no message is then refused by itself, and not the whole stream.

    A call is answered once what it brought is committed; where that fails, agents are to send it again.
    """

    def one(data: bytes, context: grpc.ServicerContext) -> Any:
        try:
            with store.acknowledged():
                return answer(checks.parsed(call.request, data)) or protocol.Commands()
        except checks.Unusable as error:
            _refuse(call, str(error), context)
        except StoreError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))

    def many(stream: Iterator[bytes], context: grpc.ServicerContext) -> Any:
        refused = Refused()
        try:
            with store.acknowledged():
                for data in streams.messages(stream, context):
                    with refused.counted():
                        answer(checks.parsed(call.request, data))
        except StoreError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        if refused.count:
            _refuse(call, refused.text, context)
        return protocol.Commands()

    handler: Callable[..., grpc.RpcMethodHandler[Any, Any]] = (
        grpc.stream_unary_rpc_method_handler if call.streaming else grpc.unary_unary_rpc_method_handler
    )
    return handler(many if call.streaming else one, response_serializer=call.response.SerializeToString)


def _refuse(call: protocol.Call, why: str, context: grpc.ServicerContext) -> None:
    extra = fields("message_refused", call=call.method, reason=why)
    note("the collector refuses what an agent sends with %s: %s", call.method, why, extra=extra)
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, why)


class Refused:
    """Counts what is refused out of several."""

    def __init__(self) -> None:
        self.total = 0
        self.count = 0
        self._first = ""

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """One of them; ``Unusable`` is counted and goes no further."""
        self.total += 1
        try:
            yield
        except checks.Unusable as error:
            self.count += 1
            self._first = self._first or str(error)

    @property
    def text(self) -> str:
        """How many were refused, and why the first one was."""
        return f"{self.count} of {self.total} refused, the others were kept: {self._first}"


class Receiver:
    """One method for each kind of message; it answers with ``Commands``, or with nothing.

    All raise ``Unusable`` for a message that cannot be kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def snapshot(self, message: Any) -> None:
        """Keep a ``ThreadSnapshot``."""
        checks.snapshot(message)
        self._store.add_snapshot(decode.snapshot(message))

    def segment(self, message: Any) -> None:
        """Keep a ``SegmentObject``."""
        checks.segment(message)
        if segment := decode.segment(message):
            self._store.add_segment(segment, now())

    def segment_batch(self, message: Any) -> None:
        """Keep the segments of a ``SegmentCollection``, the bad ones among them apart."""
        refused = Refused()
        for segment in message.segments:
            with refused.counted():
                self.segment(segment)
        if refused.count:
            raise checks.Unusable(refused.text)

    def instance_properties(self, message: Any) -> None:
        """Keep what ``InstanceProperties`` tell."""
        service, instance = _names(message)
        language, properties = decode.properties(message.properties)
        self._store.described(service, instance, now(), language, properties)

    def keep_alive(self, message: Any) -> None:
        """Note that a process is there, from its ``InstancePingPkg``."""
        layer = message.layer[: decode.NAME_LENGTH] or "GENERAL"
        self._store.seen(*_names(message), now(), layer)

    def task_commands(self, message: Any) -> Any:
        """Answer a ``ProfileTaskCommandQuery`` with the tasks that are due, and log that they were told."""
        found = tasks.due(self._store, message.service, message.lastCommandTime, now())
        for task in found:
            self._log(task.id, message, "NOTIFIED")
        return protocol.Commands(commands=[_command(task) for task in found])

    def task_finished(self, message: Any) -> None:
        """Log what a ``ProfileTaskFinishReport`` says."""
        self._log(message.taskId, message, "EXECUTION_FINISHED")

    def _log(self, task_id: str, message: Any, operation: str) -> None:
        service, instance = _names(message)
        self._store.add_log(TaskLog(task_id, service, instance, operation, now()))


def now() -> int:
    """Ms since the epoch."""
    return time.time_ns() // 1_000_000


def _names(message: Any) -> tuple[str, str]:
    checks.named(message)
    return message.service[: decode.NAME_LENGTH], message.serviceInstance[: decode.NAME_LENGTH]


def _command(task: Task) -> Any:
    arguments = {
        "SerialNumber": uuid.uuid4(),  # OAP numbers each answer anew: an agent tells tasks apart by CreateTime
        "TaskId": task.id,
        "EndpointName": task.endpoint_name,
        "Duration": task.duration,
        "MinDurationThreshold": task.min_duration_threshold,
        "DumpPeriod": task.dump_period,
        "MaxSamplingCount": task.max_sampling_count,
        "StartTime": task.start_time,
        "CreateTime": task.create_time,
    }
    pairs = [protocol.KeyStringValuePair(key=key, value=str(value)) for key, value in arguments.items()]
    return protocol.Command(command="ProfileTaskQuery", args=pairs)
