"""The side that agents talk to: the protocol's calls, served by gRPC into a store."""

from __future__ import annotations

import itertools
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from swprof_mw.collector import decode, tasks
from swprof_mw.collector.records import Task, TaskLog
from swprof_mw.collector.store import Store
from swprof_mw.reporter import protocol

logger = logging.getLogger("swprof_mw")

WORKERS = 64
"""Calls at once. A stream holds one until it ends, and agents may leave streams open."""

LONGEST_MESSAGE = 50 * 1024 * 1024
"""Bytes, as in OAP: a batch of segments comes in one message."""


def server(store: Store) -> grpc.Server:
    """A gRPC server, not started and without a port, that keeps in ``store`` what agents send."""
    made = grpc.server(
        ThreadPoolExecutor(WORKERS, thread_name_prefix="swprof-collector"),
        options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", LONGEST_MESSAGE)],
    )
    made.add_generic_rpc_handlers(_handlers(Receiver(store)))
    return made


def _handlers(receiver: Receiver) -> tuple[grpc.GenericRpcHandler, ...]:
    calls: list[tuple[protocol.Call, Callable[[Any], Any]]] = [
        (protocol.COLLECT_SNAPSHOT, receiver.collect_snapshots),
        (protocol.GET_PROFILE_TASK_COMMANDS, receiver.task_commands),
        (protocol.REPORT_TASK_FINISH, receiver.task_finished),
        (protocol.COLLECT_SEGMENTS, receiver.collect_segments),
        (protocol.COLLECT_SEGMENTS_IN_SYNC, receiver.collect_segment_batch),
        (protocol.REPORT_INSTANCE_PROPERTIES, receiver.instance_properties),
        (protocol.KEEP_ALIVE, receiver.keep_alive),
    ]
    grouped = itertools.groupby(calls, key=lambda pair: pair[0].service)
    return tuple(
        grpc.method_handlers_generic_handler(service, {call.method: _handler(call, answer) for call, answer in pairs})
        for service, pairs in grouped
    )


def _handler(call: protocol.Call, answer: Callable[[Any], Any]) -> grpc.RpcMethodHandler[Any, Any]:
    kind = grpc.stream_unary_rpc_method_handler if call.streaming else grpc.unary_unary_rpc_method_handler
    return kind(
        lambda request, _context: answer(request),
        request_deserializer=call.request.FromString,
        response_serializer=call.response.SerializeToString,
    )


class Receiver:
    """One method for each call; each takes the request (or the stream of them) and returns ``Commands``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect_snapshots(self, messages: Iterator[Any]) -> Any:
        """Keep each ``ThreadSnapshot`` of the stream as it comes."""
        for message in messages:
            self._store.add_snapshot(decode.snapshot(message))
        return protocol.Commands()

    def collect_segments(self, messages: Iterator[Any]) -> Any:
        """Keep each ``SegmentObject`` of the stream as it comes."""
        for message in messages:
            if segment := decode.segment(message):
                self._store.add_segment(segment, now())
        return protocol.Commands()

    def collect_segment_batch(self, message: Any) -> Any:
        """Keep the segments of a ``SegmentCollection``."""
        return self.collect_segments(iter(message.segments))

    def instance_properties(self, message: Any) -> Any:
        """Keep what ``InstanceProperties`` tell."""
        service, instance = _names(message)
        language, properties = decode.properties(message.properties)
        self._store.described(service, instance, now(), language, properties)
        return protocol.Commands()

    def keep_alive(self, message: Any) -> Any:
        """Note that a process is there, from its ``InstancePingPkg``."""
        self._store.seen(*_names(message), now(), message.layer or "GENERAL")
        return protocol.Commands()

    def task_commands(self, message: Any) -> Any:
        """Answer a ``ProfileTaskCommandQuery`` with the tasks that are due, and log that they were told."""
        found = tasks.due(self._store, message.service, message.lastCommandTime, now())
        for task in found:
            self._log(task.id, message, "NOTIFIED")
        return protocol.Commands(commands=[_command(task) for task in found])

    def task_finished(self, message: Any) -> Any:
        """Log what a ``ProfileTaskFinishReport`` says."""
        self._log(message.taskId, message, "EXECUTION_FINISHED")
        return protocol.Commands()

    def _log(self, task_id: str, message: Any, operation: str) -> None:
        service, instance = _names(message)
        self._store.add_log(TaskLog(task_id, service, instance, operation, now()))


def now() -> int:
    """Ms since the epoch."""
    return time.time_ns() // 1_000_000


def _names(message: Any) -> tuple[str, str]:
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
