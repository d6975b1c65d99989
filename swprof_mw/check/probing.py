"""Who is at an address, where a call did not come about: by sockets of our own."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from swprof_mw.check.finding import Finding, finding
from swprof_mw.query.client import OapClient
from swprof_mw.query.transport import OapError

#: A server that greets first, like SSH, or that answers a strange request, does so within so many seconds.
_PATIENCE = 2.0
_ASK = b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
_GRPC_PORT = 11800


def of_connection(address: str, timeout: float) -> Finding | None:
    """Why nothing can be connected to at ``HOST:PORT``; None: it can.

    Args:
        timeout: seconds, for each of the host's addresses.
    """
    host, port = _split(address)
    try:
        with socket.create_connection((host, port), timeout):
            return None
    except socket.gaierror as error:
        words = f"{host} has no address ({error.strerror})"
        return finding("name-unknown", words, "put the name in backend_services right, or DNS")
    except ConnectionRefusedError:
        mend = f"start it, or set backend_services to where it is; its port is {_GRPC_PORT} unless configured otherwise"
        return finding("refused", f"{host} is there, but nothing listens on port {port}", mend)
    except TimeoutError:
        mend = "let the port through: a firewall, a security group or a network policy drops what is sent to it"
        return finding("timeout", f"{address} does not answer to a connection within {timeout:g} s", mend)
    except OSError as error:
        mend = "put backend_services or the network right: is the host up, and in a network that is reached from here?"
        return finding("unreachable", f"no route to {address} ({error.strerror or error})", mend)


def of_talk(address: str) -> Finding:
    """Who it is that was connected to, but did not talk gRPC."""
    said = _first_words(address)
    if said.startswith(b"HTTP/"):
        return of_http(address) or finding(
            "not-grpc", f"a web server answers on {address}, not a gRPC server", _mend_of_port()
        )
    if said:
        return finding("not-grpc", f"something else than a gRPC server answers on {address}", _mend_of_port())
    mend = f"{_mend_of_port()}; a proxy on the way has to let HTTP/2 through"
    return finding("silent", f"{address} takes connections, but does not answer a call", mend)


def of_http(address: str) -> Finding | None:
    """Whether it is the port for queries, which OAP and the collector speak HTTP on."""
    try:
        version = OapClient(f"http://{address}").query("{version}")["version"]
    except (OapError, ValueError, KeyError, TypeError):
        return None
    words = f"{address} is the HTTP port of a backend (version {version}), for queries; agents report by gRPC"
    return finding("http-port", words, _mend_of_port())


def _mend_of_port() -> str:
    return f"give the backend's gRPC port, {_GRPC_PORT} unless configured otherwise, in backend_services"


def _first_words(address: str) -> bytes:
    """What is answered to a request of HTTP/1; nothing if nothing is."""
    with _connected(address) as connection, contextlib.suppress(OSError):
        connection.sendall(_ASK % address.encode("ascii", "replace"))
        return connection.recv(100)
    return b""


@contextlib.contextmanager
def _connected(address: str) -> Iterator[socket.socket]:
    with contextlib.suppress(OSError), socket.create_connection(_split(address), _PATIENCE) as connection:
        yield connection


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
