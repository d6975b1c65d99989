"""TLS and the token: who is trusted, who is shown what, and what the log says where that fails."""

from __future__ import annotations

import contextlib
import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from swprof_mw.config import Config
from swprof_mw.records import Finish
from swprof_mw.reporter import reporter as reporter_module
from swprof_mw.reporter import tls, troubles
from swprof_mw.reporter.reporter import Reporter
from tests.certificates import Authority
from tests.faulty import FINISH, KEEP_ALIVE, PROPERTIES, QUERY, SEGMENTS, SNAPSHOTS, Backend
from tests.reports import Probe, segment, snapshot
from tests.waiting import eventually

CALLS = {PROPERTIES, KEEP_ALIVE, QUERY, SEGMENTS, SNAPSHOTS, FINISH}
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
TOKEN = "s3cret-t0ken"

Pair = tuple[Path, Path]
Report = Callable[..., Reporter]


class Files:
    """All the certificates there are here.

    Attributes:
        authority, stranger: who signs.
        server, expired, elsewhere, unknown: keys and certificates of backends.
        client, unknown_client: of ours.
        nonsense: a file that holds none.
    """

    def __init__(self, directory: Path) -> None:
        (directory / "strange").mkdir()
        self.authority = Authority(directory)
        self.stranger = Authority(directory / "strange", "stranger")
        self.server = self.authority.sign("server")
        self.expired = self.authority.sign("expired", days=-1)
        self.elsewhere = self.authority.sign("elsewhere", hosts=("DNS:oap.example", "IP:192.0.2.1"))
        self.unknown = self.stranger.sign("unknown")
        self.client = self.authority.sign("client", hosts=("DNS:client.example",))
        self.unknown_client = self.stranger.sign("unknown-client", hosts=("DNS:client.example",))
        self.nonsense = directory / "nonsense.pem"
        self.nonsense.write_text("nothing\n")

    def hashed(self, directory: Path) -> Path:
        """The directory, with the authority's certificate in it as OpenSSL finds it."""
        command = ["openssl", "x509", "-hash", "-noout", "-in", str(self.authority.certificate)]
        name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        (directory / f"{name}.0").write_bytes(self.authority.certificate.read_bytes())
        return directory


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Made once."""
    return Files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No authorities but the system's own."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(params=["grpc", "plain"])
def report(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Report]:
    """Starts reporters to an address with these settings, that have something of everything to say."""
    monkeypatch.setattr(reporter_module, "FLUSH_INTERVAL", 0.05)
    monkeypatch.setattr(troubles, "_CALM", 0)
    made: list[Reporter] = []

    def make(address: str, **settings: object) -> Reporter:
        often = {"heartbeat_period": 0.2, "profile_task_query_interval": 0.2}
        transport = "grpc" if request.param == "grpc" else "auto"
        given = {"backend_services": address, "transport": transport, **often, **settings}
        loop = Reporter(Config.load(given, environ={}))
        made.append(loop)
        loop.segments.add(segment())
        loop.snapshots.add(snapshot())
        loop.report_finish(Finish("shop", "shop-1", "one"))
        loop.join(Probe())
        loop.start()
        return loop

    yield make
    for each in made:
        each.stop(0.5)


@contextlib.contextmanager
def backend(pair: Pair, client_ca: Authority | None = None, token: str = "") -> Iterator[Backend]:
    """One that presents this key and certificate."""
    asked = client_ca.certificate.read_bytes() if client_ca else None
    with Backend(token, (pair[0].read_bytes(), pair[1].read_bytes()), asked) as started:
        yield started


def all_arrives(started: Backend) -> None:
    """Wait until every kind of call has been answered."""
    started.wait(lambda: {call.method for call in started.received if call.answered} == CALLS)


# What comes about.


def test_an_authority_of_our_own_is_trusted(files: Files, report: Report) -> None:
    with backend(files.server) as started:
        report(started.address, tls_ca=str(files.authority.certificate))
        all_arrives(started)


@pytest.mark.parametrize("variable", VARIABLES)
def test_the_system_s_authorities_are_trusted(
    files: Files, report: Report, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = files.hashed(tmp_path) if variable == "SSL_CERT_DIR" else files.authority.certificate
    monkeypatch.setenv(variable, str(path))
    with backend(files.server) as started:
        report(started.address, force_tls=True)
        all_arrives(started)


def test_the_system_s_own_store_is_trusted_where_no_variable_names_one(
    files: Files, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_defaults", lambda: ("/nowhere/cert.pem", "/nowhere/certs"))
    monkeypatch.setattr(tls, "_BUNDLES", ("/nowhere/bundle.pem", str(files.authority.certificate)))
    with backend(files.server) as started:
        report(started.address, force_tls=True)
        all_arrives(started)


def test_an_authority_of_our_own_is_the_only_one(
    files: Files, report: Report, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority.certificate))
    with backend(files.server) as started:
        report(started.address, tls_ca=str(files.stranger.certificate))
        eventually(lambda: caplog.messages, "it is logged", interval=0.02)
        assert "no authority in " + str(files.stranger.certificate) in caplog.messages[0]
        assert not started.received


@pytest.mark.parametrize("ca", ["own", "system"])
def test_our_certificate_is_shown(files: Files, report: Report, ca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = map(str, files.client)
    ours = {"tls_ca": str(files.authority.certificate)} if ca == "own" else {}
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority.certificate))
    with backend(files.server, files.authority) as started:
        report(started.address, tls_key=key, tls_cert=certificate, **ours)
        all_arrives(started)


def test_every_call_carries_the_token(files: Files, report: Report) -> None:
    with backend(files.server, token=TOKEN) as started:
        report(started.address, tls_ca=str(files.authority.certificate), authentication=TOKEN)
        all_arrives(started)
        assert {(call.token, call.answered) for call in started.received} == {(TOKEN, True)}


def test_files_that_are_renewed_in_place_are_read_for_the_next_connection(
    files: Files, report: Report, tmp_path: Path
) -> None:
    trusted, key, certificate = (tmp_path / name for name in ("trusted.pem", "our.key", "our.pem"))

    def install(authority: Authority, pair: Pair) -> None:
        for path, source in ((trusted, authority.certificate), (key, pair[0]), (certificate, pair[1])):
            path.write_bytes(source.read_bytes())

    install(files.authority, files.client)
    with backend(files.server, files.authority) as started:
        loop = report(started.address, tls_ca=str(trusted), tls_key=str(key), tls_cert=str(certificate))
        all_arrives(started)
        # The backend comes back with a certificate of the other authority, and asks for one of that from us.
        started.stop()
        key_file, chain_file = files.unknown
        started.tls = key_file.read_bytes(), chain_file.read_bytes()
        started.client_ca = files.stranger.certificate.read_bytes()
        install(files.stranger, files.unknown_client)
        before = len(started.received)
        started.start()
        loop.segments.add(segment(1))
        started.wait(lambda: any(call.method == SEGMENTS and call.answered for call in started.received[before:]))


# What does not, and what is said of it.


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("expired", "its certificate has expired"),
        ("elsewhere", "its certificate is for another host than 'localhost'"),
        ("unknown", "its certificate comes from no authority in"),
    ],
)
def test_a_certificate_that_does_not_match_is_an_error_that_says_so_and_nothing_is_lost(
    files: Files, report: Report, caplog: pytest.LogCaptureFixture, shown: str, words: str
) -> None:
    caplog.set_level(logging.INFO, "swprof_mw")
    with backend(getattr(files, shown)) as started:
        loop = report(started.address, tls_ca=str(files.authority.certificate))
        eventually(lambda: caplog.records, "it is logged", interval=0.02)
        eventually(lambda: not loop.last_error.endswith(")") or "no authority" in loop.last_error, "it is tried on")
        [line] = caplog.records
        assert line.levelname == "ERROR"
        assert line.getMessage().startswith(f"no TLS to the backend {started.address}: {words}")
        assert not started.received
        started.stop()
        key, certificate = files.server
        started.tls = key.read_bytes(), certificate.read_bytes()
        started.start()
        all_arrives(started)
        eventually(lambda: caplog.records[-1].levelname == "INFO", "its end is logged", interval=0.02)
        assert [record.levelname for record in caplog.records].count("ERROR") == 1
        eventually(lambda: (loop.segments.sent, loop.snapshots.sent, loop.finishes.sent) == (1, 1, 1), "all is sent")


def test_an_address_that_the_certificate_does_not_name_is_another_host(
    files: Files, report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    with backend(files.authority.sign("name", hosts=("DNS:localhost",))) as started:
        report(f"127.0.0.1:{started.port}", tls_ca=str(files.authority.certificate))
        eventually(lambda: caplog.records, "it is logged", interval=0.02)
        assert "its certificate is for another host than '127.0.0.1'" in caplog.messages[0]


@pytest.mark.parametrize("ours", ["none", "unknown_client"])
def test_a_backend_that_misses_our_certificate_is_told_of(
    files: Files, report: Report, caplog: pytest.LogCaptureFixture, ours: str
) -> None:
    shown = {} if ours == "none" else dict(zip(("tls_key", "tls_cert"), map(str, getattr(files, ours)), strict=True))
    with backend(files.server, files.authority) as started:
        report(started.address, tls_ca=str(files.authority.certificate), **shown)
        eventually(lambda: caplog.records, "it is logged", interval=0.02)
        assert caplog.records[0].levelname == "ERROR"
        assert "tls_cert is not set" in caplog.messages[0] if ours == "none" else "(tls_cert)" in caplog.messages[0]


def test_a_backend_without_tls_is_told_of(files: Files, report: Report, caplog: pytest.LogCaptureFixture) -> None:
    with Backend() as started:
        report(started.address, tls_ca=str(files.authority.certificate))
        eventually(lambda: caplog.records, "it is logged", interval=0.02)
        assert caplog.records[0].levelname == "ERROR"
        assert "it does not speak TLS" in caplog.messages[0]


def test_a_backend_with_tls_where_we_have_none_is_told_of(
    files: Files, report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    with backend(files.server) as started:
        report(started.address)
        eventually(lambda: caplog.records, "it is logged", interval=0.02)
        assert caplog.records[0].levelname == "ERROR"
        assert "it speaks TLS, and we do not: set force_tls or tls_ca" in caplog.messages[0]


@pytest.mark.parametrize("which", ["tls_ca", "tls_key", "SSL_CERT_FILE"])
def test_a_file_that_is_no_use_is_named(
    files: Files, report: Report, caplog: pytest.LogCaptureFixture, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {"tls_cert": str(files.client[1]), "tls_key": str(files.nonsense)}
    settings: dict[str, dict[str, object]] = {
        "tls_ca": {"tls_ca": str(files.nonsense)},
        "tls_key": {"tls_ca": str(files.authority.certificate), **ours},
        "SSL_CERT_FILE": {"force_tls": True},
    }
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/cert.pem")
    with backend(files.server) as started:
        report(started.address, **settings[which])
        eventually(lambda: caplog.records, "it is logged", interval=0.02)
        assert caplog.records[0].levelname == "ERROR"
        assert ("/nowhere/cert.pem" if which == "SSL_CERT_FILE" else str(files.nonsense)) in caplog.messages[0]


def test_a_fault_is_asked_for_before_grpc_is_and_grpc_all_the_same_after_a_while(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0]
    monkeypatch.setattr(tls, "monotonic_ns", lambda: now[0])
    with backend(files.expired) as started:
        config = {"backend_services": started.address, "tls_ca": str(files.authority.certificate)}
        trust = tls.Trust(Config.load(config, environ={}))
        assert trust.fault_before(started.address, 1.0) == ""
        assert trust.fault_after(started.address, "closed", 1.0) == "its certificate has expired"
        now[0] = 59_000_000_000
        assert trust.fault_before(started.address, 1.0) == "its certificate has expired"
        now[0] = 61_000_000_000
        assert trust.fault_before(started.address, 1.0) == ""


# The token and the log.


def test_a_wrong_token_is_told_of_and_no_token_is_ever_in_the_log(
    files: Files, report: Report, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with backend(files.server, token="another") as started:
        loop = report(started.address, tls_ca=str(files.authority.certificate), authentication=TOKEN)
        eventually(lambda: caplog.records, "it is logged", interval=0.02)
        [line] = [record for record in caplog.records if record.name == "swprof_mw"]
        assert line.levelname == "WARNING"
        assert "PERMISSION_DENIED: the token is wrong), is the token (authentication) right?" in line.getMessage()
        # One that repeats what it was sent, and one that is not there.
        started.fault(status=grpc.StatusCode.UNAUTHENTICATED, details=f"nobody is called {TOKEN} here")
        started._token = ""
        eventually(lambda: "nobody is called [token] here" in loop.last_error, "it is refused", interval=0.02)
        started.stop()
        eventually(lambda: "UNAVAILABLE" in loop.last_error, "it is not there", interval=0.02)
    loop.stop(0.5)
    assert len(caplog.records) >= 3
    said = caplog.text + "".join(capfd.readouterr()) + loop.last_error + repr(loop._config)
    assert "[token]" in said
    assert TOKEN not in said
