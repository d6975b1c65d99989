"""Where the grpc library should make the calls, and is not installed: our own client does, and one line says so."""

from __future__ import annotations

import sys

import pytest

from swprof_mw.config import Config
from swprof_mw.reporter import tls, transport
from tests.certificates import Authority
from tests.faulty import PROPERTIES, Backend
from tests.scripts import Script

#: By what the line begins with: the variables that ask for the library.
WANTED = {
    "transport is 'grpc'": {"SWPROF_TRANSPORT": "grpc"},
    "http_proxy is set": {"http_proxy": "http://127.0.0.1:1"},
    "gevent has patched ssl": {},
}
MESSAGE = (
    "{why}, which takes the grpc library, but that cannot be imported (import of grpc halted; "
    "None in sys.modules): going on without; pip install 'swprof-mw[grpc]'"
)
GEVENT = """
from gevent import monkey
monkey.patch_all()
"""
NO_LIBRARY = """
import logging, sys
logging.basicConfig(format="%(levelname)s:%(message)s")
sys.modules["grpc"] = None
"""
END = """
from swprof_mw import agent
request()
wait_for(lambda: agent.current().reporter.segments.sent == 1)
request()
wait_for(lambda: agent.current().reporter.segments.sent == 2)
"""


@pytest.mark.parametrize("why", WANTED)
def test_without_the_library_our_own_client_makes_the_calls(why: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    key, certificate = (path.read_bytes() for path in authority.sign("server"))
    with Backend(tls=(key, certificate)) as backend:
        environment = {"SWPROF_TLS_CA": str(authority.certificate), **WANTED[why]}
        before = (GEVENT if "gevent" in why else "") + NO_LIBRARY
        script = Script(backend.address, END, environment, before=before)
        script.output()
        assert len(backend.segments()) == 2
    assert script.errors == f"WARNING:{MESSAGE.format(why=why)}\n"


HUBS = """
import gc
from gevent.hub import Hub
request()
sys.stdin.read()
print(sum(isinstance(each, Hub) for each in gc.get_objects()))
"""


def test_the_reporter_makes_no_hub_of_gevent_s() -> None:
    """It would import what the app's first hub may be importing: each has waited for the other, for ever."""
    with Backend() as backend:
        script = Script(backend.address, HUBS, before=GEVENT)
        backend.wait(lambda: bool(backend.calls(PROPERTIES) and backend.segments()))
        assert script.output() == "0\n"


def test_where_no_authority_is_known_either(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    for variable in transport._PROXIES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(tls, "trusted", lambda config: "")
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.delitem(sys.modules, "swprof_mw.reporter.over_grpc", raising=False)
    assert transport.load_grpc(Config.load({"force_tls": True}, environ={})) is None
    assert [record.message for record in caplog.records] == [
        MESSAGE.format(why="this system names no authorities for TLS")
    ]
