"""TLS to the backend: the authorities that are trusted, our own certificate, and in words what is wrong with them."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from swprof_mw import native
from swprof_mw.clock import monotonic_ns

if TYPE_CHECKING:
    import ssl

    from swprof_mw.config import Config

#: Who names the authorities to trust, first found wins: file or directory, as OpenSSL takes them, or grpc's own.
_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
#: Where systems keep those they trust in one file; OpenSSL's own default comes before.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)
#: The names by which OpenSSL finds an authority in a directory.
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")

#: So long a failure makes us ask first, ns; then grpc is tried again in any case.
_DOUBTFUL = 60_000_000_000
_MISSED = "it speaks TLS, and we do not: set force_tls or tls_ca"
#: Each step of asking takes so many seconds at the most.
_STEP = 1.0

# OpenSSL's codes of what is wrong with a certificate.
_NOT_YET, _EXPIRED, _HOST, _ADDRESS = 9, 10, 62, 64
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)


class Trust:
    """TLS to the backends of one connection: what it is made with, and why it does not come about.

    Of a cause grpc tells only a part, each version another one, and writes to stderr. So after a failure a connection
    of our own asks for it, and once one was found it asks first, for a while.

    Args:
        config: the files.

    Attributes:
        enabled: whether TLS is spoken.
    """

    def __init__(self, config: Config) -> None:
        self.enabled = bool(config.force_tls or config.tls_ca or config.tls_cert)
        self._config = config
        self._doubtful_until = 0

    def files(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """PEM of the trusted authorities (None: those that come with grpc), of our private key, of our certificate.

        Raises:
            OSError: one of the files cannot be read.
        """
        return _authorities(trusted(self._config)), _read(self._config.tls_key), _read(self._config.tls_cert)

    def context(self) -> ssl.SSLContext:
        """The same for OpenSSL.

        Raises:
            ValueError: a file is not what it should be; the message says which.
        """
        return _context(self._config)

    def fault_before(self, address: str, timeout: float) -> str:
        """What there is against a connection to ``HOST:PORT``, if lately there was something; else empty.

        Args:
            timeout: seconds.
        """
        if monotonic_ns() >= self._doubtful_until:
            return ""
        return fault(self._config, address, min(timeout, _STEP))

    def fault_after(self, address: str, error: str, timeout: float) -> str:
        """Why a connection failed, as far as certificates or files are the cause; else empty. ``error`` is grpc's."""
        if "timed out" in error:
            return ""
        if not self.enabled:
            ended = "closed" in error or "reset" in error
            return _MISSED if ended and speaks_tls(address, min(timeout, _STEP)) else ""
        found = fault(self._config, address, min(timeout, _STEP)) or told(error)
        if found:
            self._doubtful_until = monotonic_ns() + _DOUBTFUL
        return found

    def connected(self) -> None:
        """It came about."""
        self._doubtful_until = 0


def trusted(config: Config) -> str:
    """Path of the trusted authorities: ``tls_ca``, or else those of this system. Empty if it has none.

    Those of the system are what ``SSL_CERT_FILE`` names, or ``SSL_CERT_DIR``, or grpc's variable, or the default.
    """
    named = (config.tls_ca, *(os.environ.get(variable, "") for variable in _VARIABLES))
    file, directory = _defaults()
    return next(filter(None, named), "") or next(filter(_holds_any, (file, *_BUNDLES, directory)), "")


def fault(config: Config, address: str, timeout: float) -> str:
    """Why TLS to ``HOST:PORT`` does not come about, as far as certificates or files are the cause; else empty.

    Args:
        timeout: seconds, for each step.
    """
    if not usable():
        return ""
    import ssl

    try:
        context = _context(config)
    except ValueError as error:
        return str(error)
    try:
        with _connected(context, address, timeout) as connection:
            return _ended(connection, bool(config.tls_cert))
    except ssl.SSLCertVerificationError as error:
        return _of_certificate(error, _split(address)[0], config)
    except ssl.SSLEOFError:
        return ""
    except ssl.SSLError as error:
        return _of_handshake(error, bool(config.tls_cert))
    except OSError:
        return ""


def speaks_tls(address: str, timeout: float) -> bool:
    """Whether ``HOST:PORT`` does, with whatever certificate; ``timeout`` as of ``fault``."""
    if not usable():
        return False
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with _connected(context, address, timeout):
            return True
    except OSError:
        return False


def told(error: str) -> str:
    """As ``fault``, by what grpc says of a failed call."""
    if "CERTIFICATE_VERIFY_FAILED" in error:
        return "its certificate is not accepted"
    if "Hostname Verification" in error or "is not in peer certificate" in error:
        return "its certificate is for another host"
    return ""


def usable() -> bool:
    """Whether there is ``ssl``, and it is not gevent's: the reporter's thread has none of its greenlets."""
    if native.patched():
        return False
    try:
        import ssl  # noqa: F401
    except ImportError:
        return False
    return True


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


@contextlib.contextmanager
def _connected(context: ssl.SSLContext, address: str, timeout: float) -> Iterator[ssl.SSLSocket]:
    """A connection to ``HOST:PORT``, after its handshake. An ``OSError`` if there is none."""
    host, port = _split(address)
    with (
        socket.create_connection((host, port), timeout) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        yield connection


def _context(config: Config) -> ssl.SSLContext:
    """What grpc will use, for OpenSSL: which reads files by itself, without the GIL.

    Raises:
        ValueError: a file is not what it should be; the message says which.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    path = trusted(config)
    try:
        if path:
            context.load_verify_locations(**{"capath" if os.path.isdir(path) else "cafile": path})
    except OSError as error:
        raise ValueError(f"no authorities can be read from {path} ({_words(error)})") from error
    try:
        if config.tls_cert:
            context.load_cert_chain(config.tls_cert, config.tls_key, password="")
    except OSError as error:
        both = f"{config.tls_cert} (tls_cert) and {config.tls_key} (tls_key)"
        raise ValueError(f"{both} are no certificate with its key ({_words(error)})") from error
    return context


def _words(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)


def _of_certificate(error: ssl.SSLCertVerificationError, host: str, config: Config) -> str:
    code, words = error.verify_code, error.verify_message
    if code == _EXPIRED:
        return "its certificate has expired"
    if code == _NOT_YET:
        return "its certificate is not valid yet"
    if code in (_HOST, _ADDRESS):
        return f"its certificate is for another host than {host!r}"
    if code in _UNKNOWN_AUTHORITY:
        return f"its certificate comes from no authority in {trusted(config) or 'this system'} ({words})"
    return f"its certificate is not accepted ({words})"


def _of_handshake(error: ssl.SSLError, ours: bool) -> str:
    reason = _words(error)
    if "WRONG_VERSION_NUMBER" in reason or "HTTP_REQUEST" in reason:
        return "it does not speak TLS"
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        what = "does not accept our certificate (tls_cert)" if ours else "demands a certificate: tls_cert is not set"
        return f"it {what} ({reason})"
    return f"the handshake failed ({reason})"


def _ended(connection: ssl.SSLSocket, ours: bool) -> str:
    """After the handshake: a server that misses a certificate, or does not like ours, says so only now, if at all."""
    with contextlib.suppress(ConnectionResetError):
        if connection.recv(1):
            return ""
    what = "accept our certificate (tls_cert)" if ours else "go without a certificate of ours: tls_cert is not set"
    return f"it ends the connection after the handshake, as one would that does not {what}"


def _defaults() -> tuple[str, str]:
    """OpenSSL's default file and directory of authorities."""
    try:
        import ssl
    except ImportError:
        return "", ""
    paths = ssl.get_default_verify_paths()
    return paths.openssl_cafile, paths.openssl_capath


def _holds_any(path: str) -> bool:
    """Whether there is an authority: a system may have the place, and nothing in it."""
    return bool(_hashed(path)) if os.path.isdir(path) else os.path.isfile(path) and os.path.getsize(path) > 0


def _authorities(path: str) -> bytes | None:
    return b"".join(Path(path, name).read_bytes() for name in _hashed(path)) if os.path.isdir(path) else _read(path)


def _hashed(directory: str) -> list[str]:
    return sorted(filter(_HASHED.fullmatch, os.listdir(directory)))


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None
