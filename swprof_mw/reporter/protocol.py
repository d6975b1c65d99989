"""SkyWalking's messages and calls (protocol v3), from the descriptor set built out of ``proto/``.

The descriptors live in a pool of their own: other packages in the process (the official agent among them)
register files of the same names in protobuf's default pool, and neither side may see the other's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor

DESCRIPTOR_SET = "protocol.binpb"
PACKAGE = "skywalking.v3"


def _load_pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    built = resources.files(__package__).joinpath(DESCRIPTOR_SET).read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(built).file:
        pool.Add(file)
    return pool


_pool = _load_pool()


def _message(name: str) -> Any:
    """The message class of that name. ``Any``: its fields come from the descriptor set, not from Python."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))


KeyStringValuePair = _message("KeyStringValuePair")
Command = _message("Command")
Commands = _message("Commands")
ProfileTaskCommandQuery = _message("ProfileTaskCommandQuery")
ThreadStack = _message("ThreadStack")
ThreadSnapshot = _message("ThreadSnapshot")
ProfileTaskFinishReport = _message("ProfileTaskFinishReport")
SegmentObject = _message("SegmentObject")
SegmentCollection = _message("SegmentCollection")
SpanObject = _message("SpanObject")
Log = _message("Log")
SegmentReference = _message("SegmentReference")
InstanceProperties = _message("InstanceProperties")
InstancePingPkg = _message("InstancePingPkg")


@dataclass(frozen=True)
class Call:
    """One call of the protocol, for a client's stub or a server's handler.

    Attributes:
        service: full name, ``skywalking.v3.ProfileTask``.
        method: ``collectSnapshot``.
        request: class of the request message.
        response: class of the response message.
        streaming: whether the client sends a stream of requests instead of one.
    """

    service: str
    method: str
    request: Any
    response: Any
    streaming: bool

    @property
    def path(self) -> str:
        """The HTTP/2 path, ``/skywalking.v3.ProfileTask/collectSnapshot``."""
        return f"/{self.service}/{self.method}"

    def stub(self, channel: Any) -> Callable[..., Any]:
        """The callable of ``channel`` (a ``grpc.Channel``) that makes this call, with messages or encoded ones."""
        kind = channel.stream_unary if self.streaming else channel.unary_unary
        call: Callable[..., Any] = kind(
            self.path,
            request_serializer=_serialize,
            response_deserializer=self.response.FromString,
        )
        return call


def _serialize(request: Any) -> bytes:
    """A message, or one that is encoded already."""
    encoded: bytes = request if isinstance(request, bytes) else request.SerializeToString()
    return encoded


def _call(service: str, method: str) -> Call:
    found: MethodDescriptor = _pool.FindServiceByName(f"{PACKAGE}.{service}").methods_by_name[method]
    return Call(
        service=f"{PACKAGE}.{service}",
        method=method,
        request=_message(found.input_type.name),
        response=_message(found.output_type.name),
        streaming=bool(found.client_streaming),
    )


GET_PROFILE_TASK_COMMANDS = _call("ProfileTask", "getProfileTaskCommands")
COLLECT_SNAPSHOT = _call("ProfileTask", "collectSnapshot")
#: On the wire a stream of one message is a message. grpc starts a thread for a stream, and for a message none.
COLLECT_ONE_SNAPSHOT = replace(COLLECT_SNAPSHOT, streaming=False)
REPORT_TASK_FINISH = _call("ProfileTask", "reportTaskFinish")
COLLECT_SEGMENTS = _call("TraceSegmentReportService", "collect")
COLLECT_SEGMENTS_IN_SYNC = _call("TraceSegmentReportService", "collectInSync")
REPORT_INSTANCE_PROPERTIES = _call("ManagementService", "reportInstanceProperties")
KEEP_ALIVE = _call("ManagementService", "keepAlive")
