"""Calls without grpc: the same answers, errors and times as with it, from grpc's own server and from odd ones."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import grpc
import pytest
from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from swprof_mw.config import Config
from swprof_mw.reporter import hpack, protocol
from swprof_mw.reporter.channel import Connection, Unavailable
from swprof_mw.reporter.plain import PlainChannel
from swprof_mw.reporter.status import CallError
from tests.certificates import Authority
from tests.faulty import KEEP_ALIVE, SEGMENTS, SNAPSHOTS, Backend, black_hole, full
from tests.oap.server import OapServer, free_ports
from tests.waiting import eventually

Status = grpc.StatusCode
PING = protocol.InstancePingPkg(service="shop", serviceInstance="shop-1")
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", max_size=20).map(lambda name: f"x-{name}")
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=400)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6)


@pytest.fixture
def connect() -> Iterator[Callable[..., PlainChannel]]:
    """Makes channels; closed at the end."""
    made: list[PlainChannel] = []

    def make(address: str, context: ssl.SSLContext | None = None) -> PlainChannel:
        made.append(PlainChannel(address, context))
        return made[-1]

    yield make
    for each in made:
        each.close()


def ping(channel: PlainChannel, timeout: float = 5.0, **more: Any) -> Any:
    """One call with one message."""
    return protocol.KEEP_ALIVE.stub(channel)(PING, timeout=timeout, **more)


def failure(channel: PlainChannel, timeout: float = 5.0) -> CallError:
    """What a call fails with."""
    with pytest.raises(CallError) as failed:
        ping(channel, timeout)
    return failed.value


def snapshots(count: int, depth: int = 30) -> Iterator[Any]:
    """Messages of about 30 bytes for each of ``depth``."""
    stack = protocol.ThreadStack(codeSignatures=[f"shop/views.py.function_{line}: {line}" for line in range(depth)])
    return (protocol.ThreadSnapshot(taskId="t", sequence=number, stack=stack) for number in range(count))


# Header fields.


@given(FIELDS, st.booleans())
def test_fields_are_read_as_others_write_them(fields: list[tuple[str, str]], packed: bool) -> None:
    encoder = Encoder()
    encoder.header_table_size = 0
    every = [(":status", "200"), (":status", "499"), *fields, ("grpc-status", "0")]
    assert hpack.decode(encoder.encode(every, huffman=packed)) == every


@given(FIELDS)
def test_fields_are_written_as_others_read_them(fields: list[tuple[str, str]]) -> None:
    assert [(str(field[0]), str(field[1])) for field in Decoder().decode(hpack.encode(fields))] == fields


@given(st.binary(max_size=40))
def test_a_header_block_of_nonsense_is_an_error_or_nothing(block: bytes) -> None:
    with contextlib.suppress(hpack.HeaderError):
        hpack.decode(block)


def test_a_text_goes_on_to_the_first_character_that_we_do_not_know() -> None:
    block = Encoder().encode([("x-name", "shop"), ("grpc-message", "caf\xe9 au lait"), ("grpc-status", "7")])
    assert hpack.decode(block) == [("x-name", "shop"), ("grpc-message", "caf?"), ("grpc-status", "7")]


# grpc's server.


def test_a_call_carries_message_and_metadata_and_brings_the_answer(connect: Any) -> None:
    with Backend() as backend:
        token = "s3cret " * 100
        assert ping(connect(backend.address), metadata=(("authentication", token),)) == protocol.Commands()
        [call] = backend.calls(KEEP_ALIVE)
        assert (call.messages, call.token) == ([PING], token)


def test_a_stream_larger_than_any_window_arrives_whole_and_in_its_order(connect: Any) -> None:
    with Backend() as backend:
        channel = connect(backend.address)
        for _ in range(2):
            protocol.COLLECT_SNAPSHOT.stub(channel)(snapshots(3000), timeout=20)
        first, second = backend.calls(SNAPSHOTS)
        assert [message.sequence for message in first.messages] == list(range(3000))
        assert first.messages[7] == list(snapshots(8))[7]
        assert len(second.messages) == 3000


def test_a_message_larger_than_any_window_arrives_whole(connect: Any) -> None:
    with Backend() as backend:
        many = protocol.SegmentCollection(segments=[protocol.SegmentObject(traceId="t" * 1_000) for _ in range(300)])
        protocol.COLLECT_SEGMENTS_IN_SYNC.stub(connect(backend.address))(many, timeout=20)
        assert backend.messages(SEGMENTS) == [many]


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_a_refusal_keeps_its_status_and_its_words(connect: Any, status: grpc.StatusCode) -> None:
    with Backend() as backend:
        backend.fault(status=status)
        refused = failure(connect(backend.address))
        assert (refused.code, refused.details) == (status.name, "as it was bidden")


def test_words_beyond_ascii_are_read(connect: Any) -> None:
    with Server(trailers(("grpc-status", "5"), ("grpc-message", "caf%C3%A9 50%"))) as server:
        assert failure(connect(server.address)).details == "café 50%"


def test_a_stream_that_is_refused_on_its_way_is_not_sent_to_its_end(connect: Any) -> None:
    with Backend() as backend:
        backend.fault(SNAPSHOTS, status=Status.RESOURCE_EXHAUSTED, after=3)
        channel = connect(backend.address)
        sent = 0

        def counted() -> Iterator[Any]:
            nonlocal sent
            for message in snapshots(100_000, depth=300):
                sent += 1
                yield message

        with pytest.raises(CallError) as refused:
            protocol.COLLECT_SNAPSHOT.stub(channel)(counted(), timeout=20)
        assert refused.value.code == "RESOURCE_EXHAUSTED"
        assert sent < 5_000
        backend.heal()
        ping(channel)  # on the same connection


def test_a_call_ends_with_its_deadline_and_the_next_one_works(connect: Any) -> None:
    with Backend() as backend:
        backend.fault(hangs=True, times=1)
        channel = connect(backend.address)
        began = time.monotonic()
        assert failure(channel, 0.3).code == "DEADLINE_EXCEEDED"
        assert 0.25 < time.monotonic() - began < 2.0
        ping(channel)


def test_who_never_answers_is_waited_for_until_the_deadline(connect: Any) -> None:
    with black_hole() as silent:
        assert failure(connect(silent), 0.3).code == "DEADLINE_EXCEEDED"


def test_who_is_not_there_is_unavailable_and_says_why(connect: Any) -> None:
    [port] = free_ports(0)
    refused = failure(connect(f"127.0.0.1:{port}"))
    assert refused.code == "UNAVAILABLE"
    assert "refused" in refused.details


def test_a_host_without_an_address_is_unavailable(connect: Any) -> None:
    assert failure(connect("no.such.host.invalid:11800")).code == "UNAVAILABLE"


def test_an_address_that_does_not_answer_leaves_time_for_the_others(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with full() as silent, Backend() as backend:
        ports = [int(each.rpartition(":")[2]) for each in (silent, backend.address)]
        found = [socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)[0] for port in ports]
        monkeypatch.setattr("_socket.getaddrinfo", lambda *_: found)
        ping(connect("oap.example:11800"), timeout=2.0)
        assert len(backend.calls(KEEP_ALIVE)) == 1


def test_closing_ends_the_call_of_another_thread(connect: Any) -> None:
    with Backend() as backend:
        backend.fault(hangs=True)
        channel = connect(backend.address)
        threading.Timer(0.2, channel.close).start()
        began = time.monotonic()
        assert failure(channel, 20).code == "CANCELLED"
        assert time.monotonic() - began < 5
        assert failure(channel).code == "CANCELLED"


def test_a_server_that_was_away_between_two_calls_is_not_noticed(connect: Any) -> None:
    with Backend() as backend:
        channel = connect(backend.address)
        ping(channel)
        backend.stop()
        time.sleep(0.2)
        backend.start()
        ping(channel)
        assert len(backend.calls(KEEP_ALIVE)) == 2


# TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs certificates for localhost."""
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(authority: Authority) -> Iterator[Backend]:
    """A backend with TLS that demands a certificate of its clients."""
    key, certificate = authority.sign("server")
    pair = (key.read_bytes(), certificate.read_bytes())
    with Backend(tls=pair, client_ca=authority.certificate.read_bytes()) as backend:
        yield backend


def plain_connection(backend: Backend, **files: Path) -> Connection:
    """As the reporter uses it."""
    settings = {name: str(path) for name, path in files.items()}
    return Connection(Config.load({"backend_services": backend.address, **settings}, environ={}), plain=True)


def test_tls_with_a_certificate_of_our_own(authority: Authority, secure: Backend) -> None:
    key, certificate = authority.sign("client")
    connection = plain_connection(secure, tls_ca=authority.certificate, tls_key=key, tls_cert=certificate)
    connection.call(protocol.COLLECT_SNAPSHOT, snapshots(3000), 20.0)
    connection.call(protocol.KEEP_ALIVE, PING, 5.0)
    connection.close()
    assert len(secure.messages(SNAPSHOTS)) == 3000


def test_tls_without_the_certificate_that_is_demanded(authority: Authority, secure: Backend) -> None:
    connection = plain_connection(secure, tls_ca=authority.certificate)
    with pytest.raises(Unavailable):
        connection.call(protocol.KEEP_ALIVE, PING, 5.0)


def test_tls_of_an_authority_that_is_not_trusted(authority: Authority, secure: Backend, tmp_path: Path) -> None:
    connection = plain_connection(secure, tls_ca=Authority(tmp_path, "another").certificate)
    with pytest.raises(Unavailable, match="certificate"):
        connection.call(protocol.KEEP_ALIVE, PING, 5.0)


# Odd servers.

Script = Callable[[int], list[Frame]]


class Server:
    """Answers the first request of each connection, once it is whole, with the frames of a script.

    Args:
        script: gives the frames, by the number of the stream.
        raw: bytes that come after them.
        settings: as hyperframe has them.
        read: whether requests are read at all before the answer.
    """

    def __init__(
        self, script: Script, raw: bytes = b"", settings: dict[int, int] | None = None, read: bool = True
    ) -> None:
        self._script = script
        self._raw = raw
        self._settings = settings or {}
        self._read = read
        self.frames: list[Frame] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listening, *self._connections):
            with contextlib.suppress(OSError):  # it is closed already
                each.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            connection.settimeout(10)
            with connection, connection.makefile("rb") as incoming, contextlib.suppress(OSError):
                self._answer(connection, incoming)

    def _answer(self, connection: socket.socket, incoming: BinaryIO) -> None:
        incoming.read(24)
        connection.sendall(SettingsFrame(0, settings=self._settings).serialize())
        whole = not self._read
        while not whole and (frame := self._take(incoming)):
            whole = "END_STREAM" in frame.flags
        for answer in self._script(1):
            connection.sendall(answer.serialize())
        connection.sendall(self._raw)
        if self._raw:
            connection.shutdown(socket.SHUT_WR)
        while self._take(incoming):
            pass

    def _take(self, incoming: BinaryIO) -> Frame | None:
        head = incoming.read(9)
        if len(head) < 9:
            return None
        frame, length = Frame.parse_frame_header(memoryview(head))
        frame.parse_body(memoryview(incoming.read(length)))
        self.frames.append(frame)
        return frame

    def sent(self, kind: type[Frame]) -> list[Any]:
        """The frames of that kind that clients have sent so far."""
        return [frame for frame in self.frames if isinstance(frame, kind)]


def block(*fields: tuple[str, str]) -> bytes:
    """A header block as grpc's servers write them."""
    encoder = Encoder()
    encoder.header_table_size = 0
    encoded: bytes = encoder.encode(fields)
    return encoded


HEAD = (":status", "200"), ("content-type", "application/grpc")


def trailers(*fields: tuple[str, str], status: str = "200") -> Script:
    """An answer of nothing but fields."""
    flags = ["END_HEADERS", "END_STREAM"]
    return lambda stream: [HeadersFrame(stream, block((":status", status), *fields), flags=flags)]


def answer(stream: int, *between: Frame, body: bytes = b"\0\0\0\0\0") -> list[Frame]:
    """A good answer, with frames between its head and its body."""
    return [
        HeadersFrame(stream, block(*HEAD), flags=["END_HEADERS"]),
        *between,
        DataFrame(stream, body),
        HeadersFrame(stream, block(("grpc-status", "0")), flags=["END_HEADERS", "END_STREAM"]),
    ]


def test_all_that_may_come_between_is_attended_to(connect: Any) -> None:
    between = (
        PingFrame(0, b"12345678"),
        WindowUpdateFrame(0, window_increment=100),
        WindowUpdateFrame(1, window_increment=100),
        WindowUpdateFrame(99, window_increment=100),
        SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1_000}),
        DataFrame(99, b"of nobody"),
        RstStreamFrame(99, error_code=8),
    )
    with Server(lambda stream: answer(stream, *between)) as server:
        assert ping(connect(server.address)) == protocol.Commands()
        eventually(lambda: server.sent(PingFrame), "the ping is answered", interval=0.01)
        [pong] = server.sent(PingFrame)
        assert (pong.opaque_data, "ACK" in pong.flags) == (b"12345678", True)
        acknowledged = "both settings are acknowledged"
        eventually(
            lambda: sum("ACK" in frame.flags for frame in server.sent(SettingsFrame)) == 2, acknowledged, interval=0.01
        )
        eventually(
            lambda: {frame.stream_id for frame in server.sent(WindowUpdateFrame)} >= {0, 1},
            "both windows are opened again",
            interval=0.01,
        )


def test_padding_and_divided_header_blocks_are_put_right(connect: Any) -> None:
    message = protocol.Commands(commands=[protocol.Command(command="x")]).SerializeToString()
    body = b"\0" + len(message).to_bytes(4, "big") + message
    head = block(*HEAD)

    def script(stream: int) -> list[Frame]:
        padded = DataFrame(stream, body[3:], flags=["PADDED"])
        padded.pad_length = 17
        first = HeadersFrame(stream, head[:2], flags=["PRIORITY"])
        first.depends_on, first.stream_weight = 0, 3
        return [
            first,
            ContinuationFrame(stream, head[2:5]),
            ContinuationFrame(stream, head[5:], flags=["END_HEADERS"]),
            DataFrame(stream, body[:3]),
            padded,
            HeadersFrame(stream, block(("grpc-status", "0")), flags=["END_HEADERS", "END_STREAM"]),
        ]

    with Server(script) as server:
        [command] = ping(connect(server.address)).commands
        assert command.command == "x"


def test_a_small_window_is_kept_to(connect: Any) -> None:
    windows: list[Frame] = [
        WindowUpdateFrame(0, window_increment=60_000),
        WindowUpdateFrame(1, window_increment=60_000),
    ]
    settings = {SettingsFrame.INITIAL_WINDOW_SIZE: 10}
    with Server(lambda stream: windows, settings=settings, read=False) as server:
        channel = connect(server.address)
        with pytest.raises(CallError):
            protocol.COLLECT_SNAPSHOT.stub(channel)(snapshots(3000), timeout=1.0)
    # What was sent before the settings came had the window that all begin with.
    assert sum(len(frame.data) for frame in server.sent(DataFrame)) <= 65_535 + 60_000


def test_one_that_says_farewell_is_left_after_its_answer(connect: Any) -> None:
    with Server(lambda stream: [GoAwayFrame(0, last_stream_id=stream), *answer(stream)]) as server:
        channel = connect(server.address)
        for _ in range(3):
            ping(channel)


def test_one_that_says_farewell_before_the_request_is_unavailable(connect: Any) -> None:
    with Server(lambda stream: [GoAwayFrame(0, last_stream_id=0)]) as server:
        assert failure(connect(server.address)).code == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (7, "UNAVAILABLE"),
        (8, "CANCELLED"),
        (11, "RESOURCE_EXHAUSTED"),
        (12, "PERMISSION_DENIED"),
        (2, "INTERNAL"),
    ],
)
def test_a_call_that_is_broken_off_has_the_status_of_its_code(connect: Any, code: int, status: str) -> None:
    with Server(lambda stream: [RstStreamFrame(stream, error_code=code)]) as server:
        assert failure(connect(server.address)).code == status


@pytest.mark.parametrize(
    ("http", "status"),
    [
        ("401", "UNAUTHENTICATED"),
        ("403", "PERMISSION_DENIED"),
        ("404", "UNIMPLEMENTED"),
        ("429", "UNAVAILABLE"),
        ("503", "UNAVAILABLE"),
        ("200", "UNKNOWN"),
    ],
)
def test_an_answer_that_is_none_of_grpc_has_the_status_of_http(connect: Any, http: str, status: str) -> None:
    with Server(trailers(("server", "proxy"), status=http)) as server:
        refused = failure(connect(server.address))
        assert refused.code == status
        assert http in refused.details


@pytest.mark.parametrize(
    "script",
    [
        lambda stream: [HeadersFrame(stream, b"\xff\xff\xff\xff\xff\xff", flags=["END_HEADERS", "END_STREAM"])],
        lambda stream: [HeadersFrame(stream, b""), DataFrame(stream, b"")],
        lambda stream: [ContinuationFrame(stream, b"", flags=["END_HEADERS"])],
        lambda stream: [HeadersFrame(stream, b""), *[ContinuationFrame(stream, b"\0" * 16_000) for _ in range(5)]],
        lambda stream: [PushPromiseFrame(stream, promised_stream_id=2, data=b"", flags=["END_HEADERS"])],
        lambda stream: answer(stream, *[DataFrame(stream, b"\0" * 16_000) for _ in range(300)]),
        lambda stream: [],
    ],
    ids=["fields", "cut off", "no beginning", "fields without end", "a push", "body without end", "silence"],
)
def test_nonsense_is_unavailable(connect: Any, script: Script) -> None:
    with Server(script, raw=b"\xff" * 100) as server:
        assert failure(connect(server.address)).code == "UNAVAILABLE"


@pytest.mark.parametrize("body", [b"", b"\1\0\0\0\0", b"\0\0\0\0\5abc", b"\0\0\0\0\0\0\0\0\0\0"])
def test_an_answer_that_is_not_one_message_is_an_internal_error(connect: Any, body: bytes) -> None:
    with Server(lambda stream: answer(stream, body=body)) as server:
        assert failure(connect(server.address)).code == "INTERNAL"


def test_a_server_of_http_1_is_unavailable(connect: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert failure(connect(f"127.0.0.1:{listening.getsockname()[1]}")).code == "UNAVAILABLE"
        thread.join()


# The real thing.


@pytest.mark.oap
def test_the_real_oap_answers(oap: OapServer) -> None:
    channel = PlainChannel(oap.grpc_address)
    assert ping(channel) == protocol.Commands()
    query = protocol.ProfileTaskCommandQuery(service="plain", serviceInstance="plain-1", lastCommandTime=-1)
    assert protocol.GET_PROFILE_TASK_COMMANDS.stub(channel)(query, timeout=5) == protocol.Commands()
    protocol.COLLECT_SNAPSHOT.stub(channel)(snapshots(3000), timeout=20)
    ping(channel)
    channel.close()
