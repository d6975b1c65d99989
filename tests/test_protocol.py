"""The messages and calls, against their sources and what the protocol's description says of them."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FieldDescriptor

from swprof_mw.reporter import protocol
from tests.environments import environment

ROOT = Path(__file__).resolve().parent.parent
TYPES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_BOOL: "bool",
}
# Each message as the protocol has it: NUMBER NAME TYPE, with * for repeated.
MESSAGES = {
    "KeyStringValuePair": "1 key string, 2 value string",
    "Command": "1 command string, 2 args KeyStringValuePair*",
    "Commands": "1 commands Command*",
    "ProfileTaskCommandQuery": "1 service string, 2 serviceInstance string, 3 lastCommandTime int64",
    "ThreadStack": "1 codeSignatures string*",
    "ThreadSnapshot": "1 taskId string, 2 traceSegmentId string, 3 time int64, 4 sequence int32, 5 stack ThreadStack",
    "ProfileTaskFinishReport": "1 service string, 2 serviceInstance string, 3 taskId string",
    "SegmentObject": "1 traceId string, 2 traceSegmentId string, 3 spans SpanObject*, 4 service string, "
    "5 serviceInstance string, 6 isSizeLimited bool",
    "SegmentCollection": "1 segments SegmentObject*",
    "SpanObject": "1 spanId int32, 2 parentSpanId int32, 3 startTime int64, 4 endTime int64, 5 refs SegmentReference*, "
    "6 operationName string, 7 peer string, 8 spanType SpanType, 9 spanLayer SpanLayer, 10 componentId int32, "
    "11 isError bool, 12 tags KeyStringValuePair*, 13 logs Log*, 14 skipAnalysis bool",
    "Log": "1 time int64, 2 data KeyStringValuePair*",
    "SegmentReference": "1 refType RefType, 2 traceId string, 3 parentTraceSegmentId string, 4 parentSpanId int32, "
    "5 parentService string, 6 parentServiceInstance string, 7 parentEndpoint string, "
    "8 networkAddressUsedAtPeer string",
    "InstanceProperties": "1 service string, 2 serviceInstance string, 3 properties KeyStringValuePair*, "
    "4 layer string",
    "InstancePingPkg": "1 service string, 2 serviceInstance string, 3 layer string",
}
ENUMS = {
    "SpanType": ["Entry", "Exit", "Local"],
    "SpanLayer": ["Unknown", "Database", "RPCFramework", "Http", "MQ", "Cache", "FAAS"],
    "RefType": ["CrossProcess", "CrossThread"],
}


def test_the_descriptor_set_is_what_its_sources_make(tmp_path: Path) -> None:
    built = tmp_path / "protocol.binpb"
    python = environment("protoc", sys.executable, "grpcio-tools")
    subprocess.run([python, ROOT / "scripts" / "protocol.py", built], check=True, timeout=60)
    packaged = resources.files("swprof_mw.reporter").joinpath(protocol.DESCRIPTOR_SET).read_bytes()
    read = descriptor_pb2.FileDescriptorSet.FromString
    assert read(packaged) == read(built.read_bytes()), "run `make protocol`"


def test_every_field_has_its_number_and_type() -> None:
    for name, expected in MESSAGES.items():
        descriptor = getattr(protocol, name).DESCRIPTOR
        found = [f"{field.number} {field.name} {_type(field)}" for field in descriptor.fields]
        assert ", ".join(found) == expected, name


def test_every_enumeration_has_its_numbers() -> None:
    span, reference = protocol.SpanObject.DESCRIPTOR, protocol.SegmentReference.DESCRIPTOR
    enums = (span.fields_by_name["spanType"], span.fields_by_name["spanLayer"], reference.fields_by_name["refType"])
    for field in enums:
        values = [value.name for value in sorted(field.enum_type.values, key=lambda value: value.number)]
        assert values == ENUMS[field.enum_type.name]


def test_calls_have_their_paths_and_kinds() -> None:
    assert {
        (call.path, call.request.DESCRIPTOR.name, call.streaming)
        for call in (
            protocol.GET_PROFILE_TASK_COMMANDS,
            protocol.COLLECT_SNAPSHOT,
            protocol.REPORT_TASK_FINISH,
            protocol.COLLECT_SEGMENTS,
            protocol.COLLECT_SEGMENTS_IN_SYNC,
            protocol.REPORT_INSTANCE_PROPERTIES,
            protocol.KEEP_ALIVE,
        )
    } == {
        ("/skywalking.v3.ProfileTask/getProfileTaskCommands", "ProfileTaskCommandQuery", False),
        ("/skywalking.v3.ProfileTask/collectSnapshot", "ThreadSnapshot", True),
        ("/skywalking.v3.ProfileTask/reportTaskFinish", "ProfileTaskFinishReport", False),
        ("/skywalking.v3.TraceSegmentReportService/collect", "SegmentObject", True),
        ("/skywalking.v3.TraceSegmentReportService/collectInSync", "SegmentCollection", False),
        ("/skywalking.v3.ManagementService/reportInstanceProperties", "InstanceProperties", False),
        ("/skywalking.v3.ManagementService/keepAlive", "InstancePingPkg", False),
    }
    assert protocol.COLLECT_ONE_SNAPSHOT.path == protocol.COLLECT_SNAPSHOT.path
    assert not protocol.COLLECT_ONE_SNAPSHOT.streaming


def test_the_pool_is_our_own() -> None:
    pool = protocol.SegmentObject.DESCRIPTOR.file.pool
    assert pool is not descriptor_pool.Default()
    files = {getattr(protocol, name).DESCRIPTOR.file.name for name in MESSAGES}
    code = f"""
import swprof_mw.reporter.protocol
from google.protobuf import descriptor_pool
for name in {files!r}:
    try:
        descriptor_pool.Default().FindFileByName(name)
    except KeyError:
        continue
    raise SystemExit(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


def _type(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    label = None if hasattr(field, "is_repeated") else getattr(field, "label", None)  # protobuf before 6
    repeated = field.is_repeated if label is None else label == FieldDescriptor.LABEL_REPEATED
    return (named.name if named else TYPES[field.type]) + ("*" if repeated else "")
