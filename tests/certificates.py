"""Certificates for tests, made by the ``openssl`` command: an authority, and keys that it has signed."""

from __future__ import annotations

import subprocess
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

    def sign(self, name: str, hosts: tuple[str, ...] = HERE, days: int = 2) -> tuple[Path, Path]:
        """The files of a new private key and of its certificate.

        Args:
            name: its own, and that of its files.
            hosts: what it is good for.
            days: for how long from now on; -1: it expired yesterday.
        """
        key, request, certificate = (self._directory / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extensions = self._directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(hosts)}\nauthorityKeyIdentifier=keyid\n")
        _openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
        signer = ("-CA", str(self.certificate), "-CAkey", str(self.key), "-CAcreateserial", "-days", str(days))
        files = ("-in", str(request), "-out", str(certificate), "-extfile", str(extensions))
        _openssl("x509", "-req", *signer, *files)
        return key, certificate


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
