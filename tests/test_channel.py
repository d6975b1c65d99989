"""The connection: several addresses, TLS, the token, and the pauses after failures."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from swprof_mw.config import Config
from swprof_mw.reporter import backoff as backoff_module
from swprof_mw.reporter import protocol
from swprof_mw.reporter.backoff import Backoff
from swprof_mw.reporter.channel import CallFailed, Connection, Interrupted, Refused, Unavailable
from tests.certificates import Authority
from tests.faulty import KEEP_ALIVE, Backend, black_hole
from tests.relay import Relay

Status = grpc.StatusCode
PING = protocol.InstancePingPkg(service="shop", serviceInstance="shop-1")


@pytest.fixture
def connect() -> Iterator[Any]:
    """Makes connections with these settings; closed at the end."""
    made: list[Connection] = []

    def make(**settings: object) -> Connection:
        made.append(Connection(Config.load(settings, environ={}), jitter=lambda: 1.0))
        return made[-1]

    yield make
    for each in made:
        each.close()


def ping(connection: Connection, deadline: float | None = None) -> None:
    """One call."""
    connection.call(protocol.KEEP_ALIVE, PING, deadline)


def test_a_call_carries_the_token() -> None:
    with Backend(token="s3cret") as backend:
        connection = Connection(Config.load({"backend_services": backend.address, "authentication": "s3cret"}))
        ping(connection)
        connection.call(protocol.COLLECT_SNAPSHOT, iter([protocol.ThreadSnapshot()]))
        connection.close()
        assert [(call.token, call.answered) for call in backend.received] == [("s3cret", True)] * 2


def test_a_wrong_token_is_refused_in_the_backend_s_words(connect: Any) -> None:
    with Backend(token="s3cret") as backend:
        connection = connect(backend_services=backend.address)
        with pytest.raises(Refused) as failed:
            ping(connection)
        assert str(failed.value) == connection.last_error == "PERMISSION_DENIED: the token is wrong"
        assert failed.value.code == "PERMISSION_DENIED"
        assert backend.received[0].token is None
        assert connection.wait == 0


@pytest.mark.parametrize("status", [Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.CANCELLED])
def test_a_backend_that_is_not_there_is_unavailable(connect: Any, status: grpc.StatusCode) -> None:
    with Backend() as backend:
        backend.fault(status=status)
        connection = connect(backend_services=backend.address)
        with pytest.raises(Unavailable) as failed:
            ping(connection)
        assert failed.value.timed_out == (status is Status.DEADLINE_EXCEEDED)
        assert 0 < connection.wait <= 0.2


def test_a_call_ends_with_its_deadline(connect: Any) -> None:
    with black_hole() as silent, Backend() as backend:
        backend.fault(hangs=True)
        for address in (silent, backend.address):
            began = time.monotonic()
            with pytest.raises(Unavailable) as failed:
                ping(connect(backend_services=address), 0.3)
            assert 0.2 < time.monotonic() - began < 1.0
            assert "DEADLINE_EXCEEDED" in str(failed.value)


def test_a_call_is_cancelled_from_another_thread(connect: Any) -> None:
    with Backend() as backend:
        backend.fault(hangs=True)
        connection = connect(backend_services=backend.address)
        timer = threading.Timer(0.2, connection.cancel)
        timer.start()
        began = time.monotonic()
        with pytest.raises(CallFailed):
            ping(connection)
        timer.join()
        assert time.monotonic() - began < 2.0
        backend.heal()
        ping(connection)


@pytest.mark.parametrize("transport", ["auto", "grpc"])
def test_what_is_broken_off_between_two_calls_is_made_again(connect: Any, transport: str) -> None:
    """Who breaks a call off cannot know that it has just ended: then it is the next one."""
    with Backend() as backend:
        connection = connect(backend_services=backend.address, transport=transport)
        ping(connection)
        connection.interrupt()
        with pytest.raises(Interrupted):
            ping(connection)
        assert connection.wait == 0
        ping(connection)
        assert len(backend.calls(KEEP_ALIVE)) == 2


def test_a_line_with_a_long_way_is_given_the_time_to_connect(connect: Any) -> None:
    with Backend() as backend, Relay(backend.port, delay=0.25) as far:
        ping(connect(backend_services=far.address))
        assert len(backend.calls(KEEP_ALIVE)) == 1


def test_each_address_is_tried_at_once_and_then_there_is_a_pause(connect: Any) -> None:
    with Backend() as first, Backend() as second, Backend() as third:
        addresses = [each.address for each in (first, second, third)]
        connection = connect(backend_services=addresses)
        for each in (first, second, third):
            each.stop()
        waits = []
        for _ in range(7):
            waits.append((connection.address, connection.wait > 0))
            time.sleep(connection.wait)
            with pytest.raises(Unavailable):
                ping(connection)
        assert waits == [(addresses[n % 3], n in (3, 6)) for n in range(7)]


def test_calls_go_over_to_another_address_and_return_when_that_one_fails(connect: Any) -> None:
    with Backend() as first, Backend() as second:
        connection = connect(backend_services=f"{first.address},{second.address}")
        ping(connection)
        first.stop()
        with pytest.raises(Unavailable):
            ping(connection)
        assert connection.wait == 0
        ping(connection)
        ping(connection)
        first.start()
        second.stop()
        with pytest.raises(Unavailable):
            ping(connection)
        assert connection.wait == 0
        ping(connection)
        assert (len(first.calls(KEEP_ALIVE)), len(second.calls(KEEP_ALIVE))) == (2, 2)


def test_an_address_that_refuses_all_is_left_but_one_that_refuses_something_is_not(connect: Any) -> None:
    with Backend(token="other") as strange, Backend() as backend:
        connection = connect(backend_services=f"{strange.address},{backend.address}")
        with pytest.raises(Refused):
            ping(connection)
        connection.move_on()
        assert connection.address == backend.address
        ping(connection)
        backend.fault(KEEP_ALIVE, status=Status.UNIMPLEMENTED)
        with pytest.raises(Refused):
            ping(connection)
        connection.move_on()
        assert connection.address == backend.address
        assert connection.wait == 0


def test_a_single_address_that_refuses_all_is_kept_without_a_pause(connect: Any) -> None:
    with Backend(token="other") as strange:
        connection = connect(backend_services=strange.address)
        with pytest.raises(Refused):
            ping(connection)
        connection.move_on()
        assert (connection.address, connection.wait) == (strange.address, 0)


@pytest.mark.parametrize("plain", [False, True], ids=["grpc", "plain"])
def test_a_thousand_attempts_leave_nothing_behind(plain: bool) -> None:
    def held() -> tuple[int, int, float]:
        counts = (len(os.listdir(f"/proc/self/{what}")) for what in ("fd", "task"))
        return (*counts, int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6)  # type: ignore[return-value]

    with Backend() as backend:
        port = backend.port
    connection = Connection(Config.load({"backend_services": f"127.0.0.1:{port}"}, environ={}), plain=plain)
    before = held()
    for attempt in range(1_000):
        with pytest.raises(Unavailable):
            ping(connection)
        before = held() if attempt == 100 else before
    connection.close()
    after = held()
    assert after[0] - before[0] < 10
    assert after[1] - before[1] < 20
    assert after[2] - before[2] < 10


# TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs what the TLS tests need."""
    return Authority(tmp_path_factory.mktemp("tls"))


def pems(authority: Authority, name: str) -> tuple[bytes, bytes]:
    """A private key and a certificate."""
    key, certificate = authority.sign(name)
    return key.read_bytes(), certificate.read_bytes()


def test_tls_with_our_own_authority(authority: Authority, connect: Any) -> None:
    with Backend(tls=pems(authority, "server")) as backend:
        ping(connect(backend_services=backend.address, tls_ca=str(authority.certificate)))
        assert len(backend.calls(KEEP_ALIVE)) == 1


def test_mutual_tls(authority: Authority, connect: Any) -> None:
    key, certificate = authority.sign("client")
    ours = {"tls_ca": str(authority.certificate)}
    with Backend(tls=pems(authority, "server"), client_ca=authority.certificate.read_bytes()) as backend:
        ping(connect(backend_services=backend.address, tls_key=str(key), tls_cert=str(certificate), **ours))
        assert len(backend.calls(KEEP_ALIVE)) == 1
        with pytest.raises(Unavailable):
            ping(connect(backend_services=backend.address, **ours))


def test_a_certificate_of_another_authority_is_named_as_the_cause(
    authority: Authority, connect: Any, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    with Backend(tls=pems(authority, "server")) as backend:
        with pytest.raises(Unavailable) as failed:
            ping(connect(backend_services=backend.address, tls_ca=str(other.certificate)))
        assert "CERTIFICATE_VERIFY_FAILED" in str(failed.value)
        assert not backend.received


def test_forced_tls_trusts_only_the_well_known_authorities(authority: Authority, connect: Any) -> None:
    with Backend(tls=pems(authority, "server")) as backend:
        with pytest.raises(Unavailable) as failed:
            ping(connect(backend_services=backend.address, force_tls=True))
        assert "CERTIFICATE_VERIFY_FAILED" in str(failed.value)


def test_tls_to_a_backend_without_it_says_so(connect: Any) -> None:
    with Backend() as backend:
        with pytest.raises(Unavailable) as failed:
            ping(connect(backend_services=backend.address, force_tls=True))
        assert "handshake" in str(failed.value).lower()


def test_a_file_that_has_gone_is_an_error_like_any_other(authority: Authority, connect: Any, tmp_path: Path) -> None:
    copy = tmp_path / "ca.pem"
    copy.write_bytes(authority.certificate.read_bytes())
    connection = connect(backend_services="localhost:1", tls_ca=str(copy))
    copy.unlink()
    with pytest.raises(Unavailable) as failed:
        ping(connection)
    assert "ca.pem" in str(failed.value)
    assert connection.wait > 0


# Pauses.


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time in ns, at index 0."""
    now = [1_000]
    monkeypatch.setattr(backoff_module, "monotonic_ns", lambda: now[0])
    return now


def test_pauses_double_up_to_the_longest(clock: list[int]) -> None:
    backoff = Backoff(3.0, first=0.2, jitter=lambda: 1.0)
    waits = []
    for _ in range(7):
        backoff.failed()
        waits.append(round(backoff.wait, 3))
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.0, 3.0, 3.0]


def test_pauses_are_cut_at_random_by_up_to_their_half(clock: list[int]) -> None:
    for jitter, expected in ((0.0, 0.1), (0.5, 0.15), (1.0, 0.2)):
        backoff = Backoff(3.0, first=0.2, jitter=lambda jitter=jitter: jitter)  # type: ignore[misc]
        backoff.failed()
        assert backoff.wait == pytest.approx(expected)
    drawn = set()
    for _ in range(20):
        backoff = Backoff(3.0)
        backoff.failed()
        drawn.add(backoff.wait)
    assert len(drawn) > 10


def test_a_pause_passes_and_success_ends_it(clock: list[int]) -> None:
    backoff = Backoff(3.0, jitter=lambda: 1.0)
    assert backoff.wait == 0
    backoff.failed()
    clock[0] += 150_000_000
    assert backoff.wait == pytest.approx(0.05)
    clock[0] += 100_000_000
    assert backoff.wait == 0
    backoff.failed()
    assert backoff.wait == pytest.approx(0.4)
    backoff.succeeded()
    assert backoff.wait == 0
    backoff.failed()
    assert backoff.wait == pytest.approx(0.2)
