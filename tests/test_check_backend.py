"""``swprof check``: each way in which a backend may not be reached, made for real, is told with what mends it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from swprof_mw.cli.main import main
from swprof_mw.collector.server import Collector
from swprof_mw.collector.store import Store
from swprof_mw.config import SETTINGS
from swprof_mw.query.client import OapClient
from tests.certificates import Authority
from tests.faulty import QUERY, Backend, black_hole, full
from tests.oap.server import OapServer, free_ports

TOKEN = "s3cret-t0ken"
#: Variables that would change what a test sets up.
OTHERS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "DJANGO_SETTINGS_MODULE")
PROXIES = ("grpc_proxy", "https_proxy", "http_proxy", "no_proxy", "no_grpc_proxy")

Check = Callable[..., tuple[int, list[dict[str, Any]]]]
Pair = tuple[Path, Path]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in (*OTHERS, *PROXIES, *(name for each in SETTINGS.values() for name in each.environment)):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Checks backends with these settings in the environment: the exit status, and what was found."""

    def run(address: str, *options: str, **settings: object) -> tuple[int, list[dict[str, Any]]]:
        for name, value in {"backend_services": address, **settings}.items():
            monkeypatch.setenv(SETTINGS[name].environment[0], str(value))
        status = main(["check", "--json", *options])
        shown = capsys.readouterr()
        assert TOKEN not in shown.out + shown.err
        found = json.loads(shown.out)["findings"]
        assert all(one["message"] and one["mend"] for one in found if one["severity"] != "note")
        return status, [one for one in found if one["severity"] != "note"]

    return run


def only(result: tuple[int, list[dict[str, Any]]], id_: str) -> tuple[str, str]:
    """The message and the mend of the one error, which has to be of that kind."""
    status, [found] = result
    assert (status, found["id"], found["severity"]) == (1, id_, "error"), found
    return found["message"], found["mend"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates, by their names: two authorities', and what the first one has signed."""
    directory = tmp_path_factory.mktemp("certificates")
    authority = Authority(directory)
    authority.sign("server")
    authority.sign("expired", days=-1)
    authority.sign("elsewhere", hosts=("DNS:oap.example",))
    authority.sign("client")
    stranger = Authority(directory, "stranger")
    stranger.sign("unknown-client")
    (directory / "nonsense.pem").write_text("nothing\n")
    return directory


@contextlib.contextmanager
def secure(files: Path, name: str, client_ca: str = "") -> Iterator[str]:
    """The address of a backend that presents this certificate, and perhaps asks for one that this has signed."""
    pair = (files / f"{name}.key").read_bytes(), (files / f"{name}.pem").read_bytes()
    with Backend(tls=pair, client_ca=(files / client_ca).read_bytes() if client_ca else None) as backend:
        yield backend.address


@contextlib.contextmanager
def greeting(words: bytes, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a server of another kind: it says its words to whoever connects, and ends the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, contextlib.suppress(ssl.SSLError):
                        talk = context.wrap_socket(connection, server_side=True) if context else connection
                        talk.sendall(words)
                        time.sleep(0.05)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


# Reached


def test_a_collector_that_is_well_is_reached(check: Check) -> None:
    with Collector(0, 0) as collector:
        assert check(collector.backend) == (0, [])


@pytest.mark.parametrize("transport", ["auto", "grpc"])
def test_a_backend_hears_a_question_and_nothing_else(check: Check, transport: str) -> None:
    with Backend(token=TOKEN) as backend:
        assert check(backend.address, authentication=TOKEN, transport=transport, service_name="shop") == (0, [])
        assert [(call.method, call.token) for call in backend.received] == [(QUERY, TOKEN)]
        [query] = backend.messages(QUERY)
    assert (query.service, query.serviceInstance.partition("@")[0]) == ("shop", "check")


def test_no_trace_is_left_and_a_task_that_waits_is_not_taken(check: Check) -> None:
    with Collector(0, 0) as collector:
        client = OapClient(collector.url)
        task = client.create_task("shop", "/e", duration=1, min_duration=0, period=10, samples=1)
        assert check(collector.backend, service_name="shop") == (0, [])
        assert client.services() == []
        assert [(one.id, one.notified) for one in client.tasks("shop")] == [(task, frozenset())]


def test_tls_that_comes_about(check: Check, files: Path) -> None:
    client = {"tls_cert": files / "client.pem", "tls_key": files / "client.key"}
    with secure(files, "server", "authority.pem") as address:
        assert check(address, tls_ca=files / "authority.pem", **client) == (0, [])


def test_one_of_several_that_answers_is_enough(check: Check) -> None:
    [port] = free_ports(0)
    with Backend() as backend:
        status, [found] = check(f"127.0.0.1:{port},{backend.address}")
    assert (status, found["id"], found["severity"]) == (0, "refused", "warning")
    assert found["subject"] == f"127.0.0.1:{port}"


def test_no_backend_is_called_if_that_is_said(check: Check) -> None:
    with Backend() as backend:
        assert check(backend.address, "--no-backend") == (0, [])
        assert backend.received == []


# No route


def test_a_name_that_is_not_known(check: Check) -> None:
    message, mend = only(check("nowhere.invalid:11800"), "name-unknown")
    assert message.startswith("nowhere.invalid has no address")
    assert "backend_services" in mend


def test_a_port_that_nobody_listens_on(check: Check) -> None:
    [port] = free_ports(0)
    message, mend = only(check(f"127.0.0.1:{port}"), "refused")
    assert f"nothing listens on port {port}" in message
    assert "11800" in mend


def test_a_host_that_there_is_no_way_to(check: Check) -> None:
    message, _ = only(check("255.255.255.255:11800"), "unreachable")
    assert message == "no route to 255.255.255.255:11800 (Network is unreachable)"


def test_connections_that_are_dropped(check: Check) -> None:
    with full() as address:
        message, mend = only(check(address, "--timeout", "0.5"), "timeout")
    assert message == f"{address} does not answer to a connection within 0.5 s"
    assert "firewall" in mend


def test_a_server_that_says_nothing(check: Check) -> None:
    with black_hole() as address:
        message, mend = only(check(address, "--timeout", "0.5"), "silent")
    assert message == f"{address} takes connections, but does not answer a call"
    assert "11800" in mend


def test_a_proxy_that_does_not_pass_it(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    [port] = free_ports(0)
    monkeypatch.setenv("https_proxy", f"http://user:{TOKEN}@127.0.0.1:{port}")
    message, mend = only(check("oap.example:11800"), "proxy")
    assert "oap.example:11800 is not reached through the proxy" in message
    assert mend.startswith("add oap.example to no_proxy")


def test_a_proxy_that_is_not_for_it(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, port = free_ports(0), free_ports(0)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed[0]}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    only(check(f"127.0.0.1:{port[0]}"), "refused")


# The wrong port


def test_the_collector_s_port_for_queries(check: Check) -> None:
    with Collector(0, 0) as collector:
        message, mend = only(check(collector.url.removeprefix("http://")), "http-port")
    assert "is the HTTP port of a backend" in message
    assert "11800" in mend


def test_the_collector_s_port_for_queries_with_tls(check: Check, files: Path) -> None:
    with Collector(0, 0) as collector:
        only(check(collector.url.removeprefix("http://"), force_tls="on"), "http-port")


def test_a_web_server(check: Check) -> None:
    with greeting(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as address:
        message, _ = only(check(address), "not-grpc")
    assert message == f"a web server answers on {address}, not a gRPC server"


def test_a_server_of_another_kind(check: Check) -> None:
    with greeting(b"SSH-2.0-OpenSSH_9.2\r\n") as address:
        message, _ = only(check(address), "not-grpc")
    assert message == f"something else than a gRPC server answers on {address}"


# TLS


def test_a_backend_with_tls_asked_without(check: Check, files: Path) -> None:
    with secure(files, "server") as address:
        _, mend = only(check(address), "tls-expected")
    assert "force_tls" in mend


def test_a_backend_without_tls_asked_with(check: Check) -> None:
    with Backend() as backend:
        only(check(backend.address, force_tls="on"), "tls-not-spoken")


@pytest.mark.parametrize(
    ("presented", "trusted", "id_"),
    [
        ("server", "stranger.pem", "tls-authority"),
        ("expired", "authority.pem", "tls-expired"),
        ("elsewhere", "authority.pem", "tls-name"),
        ("server", "nonsense.pem", "tls-files"),
    ],
)
@pytest.mark.parametrize("transport", ["auto", "grpc"])
def test_a_certificate_that_is_not_accepted(
    check: Check, files: Path, presented: str, trusted: str, id_: str, transport: str
) -> None:
    with secure(files, presented) as address:
        only(check(address, tls_ca=files / trusted, transport=transport), id_)


def test_a_certificate_that_is_not_valid_yet(check: Check, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    key, certificate = authority.sign("later", starts=2)
    with Backend(tls=(key.read_bytes(), certificate.read_bytes())) as backend:
        _, mend = only(check(backend.address, tls_ca=authority.certificate), "tls-not-yet")
    assert "clocks" in mend


def test_a_backend_that_demands_a_certificate(check: Check, files: Path) -> None:
    with secure(files, "server", "authority.pem") as address:
        only(check(address, tls_ca=files / "authority.pem"), "tls-client")


def test_a_certificate_of_ours_that_is_not_accepted(check: Check, files: Path) -> None:
    ours = {"tls_cert": files / "unknown-client.pem", "tls_key": files / "unknown-client.key"}
    with secure(files, "server", "authority.pem") as address:
        only(check(address, tls_ca=files / "authority.pem", **ours), "tls-client")


def test_a_backend_that_speaks_an_old_tls_only(check: Check, files: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / "server.pem", files / "server.key")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are deprecated for a reason
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with greeting(b"", context) as address:
        _, mend = only(check(address.replace("127.0.0.1", "localhost"), tls_ca=files / "authority.pem"), "tls-failed")
    assert "versions of TLS" in mend


def test_a_certificate_of_ours_with_another_key(check: Check, files: Path) -> None:
    ours = {"tls_cert": files / "client.pem", "tls_key": files / "unknown-client.key"}
    with secure(files, "server", "authority.pem") as address:
        only(check(address, tls_ca=files / "authority.pem", **ours), "tls-files")


# The token


@pytest.mark.parametrize(("shown", "id_"), [("", "token-missing"), ("another", "token-refused")])
def test_a_token_that_the_collector_refuses(check: Check, shown: str, id_: str) -> None:
    with contextlib.closing(Store()) as store, Collector(0, 0, "127.0.0.1", store, TOKEN) as collector:
        _, mend = only(check(collector.backend, authentication=shown), id_)
    assert "authentication" in mend


def test_a_token_that_the_collector_takes(check: Check) -> None:
    with contextlib.closing(Store()) as store, Collector(0, 0, "127.0.0.1", store, TOKEN) as collector:
        assert check(collector.backend, authentication=TOKEN) == (0, [])


# Other refusals


def test_a_backend_that_knows_no_profile_tasks(check: Check) -> None:
    with Backend() as backend:
        backend.fault(QUERY, status=grpc.StatusCode.UNIMPLEMENTED)
        message, mend = only(check(backend.address), "call-refused")
    assert "UNIMPLEMENTED" in message
    assert "receiver-profile" in mend


# The real OAP


@pytest.mark.oap
def test_a_real_oap_is_reached_and_learns_of_no_service(check: Check, oap: OapServer) -> None:
    assert check(oap.grpc_address, service_name="only-checked") == (0, [])
    assert "only-checked" not in OapClient(oap.url).services()


@pytest.mark.oap
@pytest.mark.parametrize("tls", ["off", "on"])
def test_a_real_oap_s_port_for_queries(check: Check, oap: OapServer, tls: str) -> None:
    only(check(f"127.0.0.1:{oap.http_port}", force_tls=tls), "http-port")


@pytest.mark.oap
def test_a_real_oap_that_speaks_no_tls(check: Check, oap: OapServer) -> None:
    only(check(oap.grpc_address, force_tls="on"), "tls-not-spoken")


@pytest.mark.oap
def test_a_real_oap_that_asks_for_a_token(check: Check) -> None:
    with OapServer(token=TOKEN) as asking:
        only(check(asking.grpc_address), "token-missing")
        only(check(asking.grpc_address, authentication="another"), "token-refused")
        assert check(asking.grpc_address, authentication=TOKEN) == (0, [])


def test_the_environment_of_the_tests_is_their_own() -> None:
    assert not {variable for variable in PROXIES if os.environ.get(variable)}
