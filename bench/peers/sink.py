"""The backend of all peers: takes what each sends in its own protocol, counts requests, and keeps nothing.

Over gRPC SkyWalking's protocol (with profile tasks) and OpenTelemetry's, over HTTP Sentry's. A process of its own, so
that its work is not the peers'. ``python -m bench.peers.sink`` prints its ports, and begins anew with each line.
"""

from __future__ import annotations

import gzip
import http.server
import itertools
import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import empty_pb2, unknown_fields

from swprof_mw.reporter import protocol

#: Longest of a profile task, minutes, and a threshold, ms, that no measured request reaches.
_DURATION = 10
_THRESHOLD = 10_000
_NUMBERS = itertools.count(1)


class Sink:
    """What came in since the last ``reset``, and the profile task that is given out.

    Attributes:
        requests: segments, or what a peer has in their place.
        snapshots: stacks of profiled requests.
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._task: dict[str, str] | None = None
        self.reset("")

    def reset(self, endpoint: str) -> None:
        """Begin anew; with a task for that endpoint, unless it is empty."""
        with self._lock:
            self.requests = self.snapshots = self.asked = 0
            self._task = _task(endpoint) if endpoint else None

    def came(self, requests: int = 0, snapshots: int = 0) -> None:
        """Count that."""
        with self._lock:
            self.requests += requests
            self.snapshots += snapshots
            self._lock.notify_all()

    def counts(self) -> dict[str, int]:
        """By kind, how much has come."""
        return {"requests": self.requests, "snapshots": self.snapshots, "asked": self.asked}

    def wait(self, kind: str, count: int, seconds: float) -> None:
        """Return when so much of that kind has come, or after that time."""
        with self._lock:
            self._lock.wait_for(lambda: self.counts()[kind] >= count, seconds)

    def tasks(self, _: Any) -> Any:
        """The answer to a query for profile tasks."""
        with self._lock:
            self.asked += 1
            self._lock.notify_all()
            pairs = (self._task or {}).items()
        if not pairs:
            return protocol.Commands()
        arguments = [protocol.KeyStringValuePair(key=key, value=value) for key, value in pairs]
        return protocol.Commands(commands=[protocol.Command(command="ProfileTaskQuery", args=arguments)])


def _task(endpoint: str) -> dict[str, str]:
    created, task = str(time.time_ns() // 1_000_000), f"task-{next(_NUMBERS)}"
    return {
        "SerialNumber": task,
        "TaskId": task,
        "EndpointName": endpoint,
        "Duration": str(_DURATION),
        "MinDurationThreshold": str(_THRESHOLD),
        "DumpPeriod": "10",
        "MaxSamplingCount": "9",
        "StartTime": created,
        "CreateTime": created,
    }


class Handlers(grpc.GenericRpcHandler):
    """Every call of every service: those that matter are looked into, the others are answered by an empty message."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def service(self, details: Any) -> Any:
        """The handler of one call."""
        method = details.method.rsplit("/", 1)[1]
        stream = method == "collectSnapshot" or (
            method.startswith("collect") and method not in ("collectInSync", "collectBatch")
        )
        if stream:
            return grpc.stream_unary_rpc_method_handler(lambda messages, _: self._stream(details.method, messages))
        return grpc.unary_unary_rpc_method_handler(lambda message, _: self._single(method, message))

    def _stream(self, path: str, messages: Iterator[bytes]) -> bytes:
        for _ in messages:
            if path.endswith("TraceSegmentReportService/collect"):
                self._sink.came(requests=1)
            elif path.endswith("collectSnapshot"):
                self._sink.came(snapshots=1)
        return b""

    def _single(self, method: str, message: bytes) -> bytes:
        if method == "collectInSync":
            self._sink.came(requests=len(protocol.SegmentCollection.FromString(message).segments))
        elif method == "Export":
            self._sink.came(requests=_spans(message))
        elif method == "getProfileTaskCommands":
            return bytes(self._sink.tasks(message).SerializeToString())
        return b""


def _spans(message: bytes, depth: int = 0) -> int:
    """The entry spans in OpenTelemetry's ``ExportTraceServiceRequest``: of kind SERVER, field 6 being 2.

    Their descriptors are not here: resource spans are field 1, in them scope spans field 2, in them spans field 2.
    """
    fields: Any = unknown_fields.UnknownFieldSet(empty_pb2.Empty.FromString(message))
    if depth == 3:
        return int(any((field.field_number, field.data) == (6, 2) for field in fields))
    wanted = (1, 2, 2)[depth]
    return sum(_spans(field.data, depth + 1) for field in fields if field.field_number == wanted)


def _http(sink: Sink) -> http.server.ThreadingHTTPServer:
    """Takes Sentry's envelopes, and tells what came."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sink.came(requests=sum(_is_transaction(line) for line in body.splitlines()))
            self._say({})

        def do_GET(self) -> None:
            """``/KIND/COUNT/SECONDS`` answers when so much has come, and no later than that."""
            if self.path != "/":
                kind, count, seconds = self.path[1:].split("/")
                sink.wait(kind, int(count), float(seconds))
            self._say(sink.counts())

        def _say(self, what: Any) -> None:
            data = json.dumps(what).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _is_transaction(line: bytes) -> bool:
    """Whether this line of an envelope heads a transaction, Sentry's word for a request."""
    return len(line) < 300 and line.startswith(b"{") and json.loads(line).get("type") == "transaction"


def main() -> None:
    """Print the ports, then begin anew with each line of the input: the endpoint of a profile task, in JSON."""
    sink = Sink()
    server = grpc.server(ThreadPoolExecutor(16), handlers=[Handlers(sink)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    web = _http(sink)
    print(json.dumps([port, web.server_port]), flush=True)
    for line in sys.stdin:
        sink.reset(json.loads(line))
        print("null", flush=True)
    server.stop(0)
    web.shutdown()


if __name__ == "__main__":
    main()
