"""Certificates for tests, made by the ``openssl`` command: an authority, and keys that it has signed."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

HERE = ("DNS:localhost", "IP:127.0.0.1")


class Authority:
    """Signs certificates for this machine, as strict as Python 3.13 and later want them (RFC 5280).

    Args:
        directory: where its files and those of what it signs are put.
        name: its own, and that of its files.
    """

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self.name = name
        self.certificate = directory / f"{name}.pem"
        self.key = directory / f"{name}.key"
        subject = ("-subj", f"/CN={name}", "-keyout", str(self.key), "-out", str(self.certificate))
        _openssl("req", "-x509", *_NEW_KEY, "-days", "2", "-addext", "keyUsage=critical,keyCertSign,cRLSign", *subject)

    def sign(self, name: str, hosts: tuple[str, ...] = HERE, days: int = 2, starts: int = 0) -> tuple[Path, Path]:
        """The files of a new private key and of its certificate.

        Args:
            name: its own, and that of its files.
            hosts: what it is good for.
            days: for how long from now on; -1: it expired yesterday.
            starts: in how many days it begins to be good.
        """
        key, request, certificate = (self._directory / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extensions = self._directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(hosts)}\nauthorityKeyIdentifier=keyid\n")
        _openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
        if starts:
            self._sign_later(request, certificate, extensions, starts)
            return key, certificate
        signer = ("-CA", str(self.certificate), "-CAkey", str(self.key), "-CAcreateserial", "-days", str(days))
        files = ("-in", str(request), "-out", str(certificate), "-extfile", str(extensions))
        _openssl("x509", "-req", *signer, *files)
        return key, certificate

    def _sign_later(self, request: Path, certificate: Path, extensions: Path, starts: int) -> None:
        """What ``openssl x509`` cannot do: begin at another time than now."""
        (self._directory / "index.txt").touch()
        config = self._directory / "ca.conf"
        config.write_text(_CONFIG.format(self._directory))
        begin, end = ((datetime.now(timezone.utc) + timedelta(days)).strftime(_TIME) for days in (starts, starts + 2))
        signer = ("-config", str(config), "-cert", str(self.certificate), "-keyfile", str(self.key))
        files = ("-in", str(request), "-out", str(certificate), "-extfile", str(extensions))
        _openssl("ca", "-batch", "-notext", "-create_serial", *signer, *files, "-startdate", begin, "-enddate", end)


_TIME = "%Y%m%d%H%M%SZ"
_CONFIG = """[ca]
default_ca = own
[own]
database = {0}/index.txt
serial = {0}/serial
new_certs_dir = {0}
default_md = sha256
policy = any
[any]
commonName = supplied
"""
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
