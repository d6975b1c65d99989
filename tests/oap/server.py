"""A real SkyWalking OAP server on loopback, for tests: ``python tests/oap/server.py`` runs one until Ctrl-C.

It needs Java 11+ and Maven. The first start fetches the jars (132 MB, about a minute), later ones take about 5 s.
Run as a program it reads OAP_GRPC_PORT (11800), OAP_HTTP_PORT (12800), OAP_TOKEN (agents must send it), and
OAP_TLS=true with OAP_TLS_KEY and OAP_TLS_CERT (PEM files), and OAP_CLIENT_CA (PEM file of the authority that agents'
certificates must come from). OAP_HOME, always read, is where the jars are kept.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
MAIN_CLASS = "org.apache.skywalking.oap.server.starter.OAPServerStartUp"
#: It does little, and mostly for seconds: what the optimizing compiler and a garbage collector with threads of its own
#: cost at its start never comes back. Without them a start takes 7 s of processor time rather than 13.
JAVA_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xms128m", "-Xmx512m")
START_SECONDS = 60
STOP_SECONDS = 10


class StartError(RuntimeError):
    """A server could not be started; the message says why, and ends with the tail of what it wrote."""


def free_ports(*wanted: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all different: each one as wanted, or any where that is 0.

    Raises:
        OSError: a wanted port is taken.
    """
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in wanted]
        for probe, port in zip(probes, wanted, strict=True):
            # As the server itself will do, so that a predecessor's closed connections do not stand in the way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, port != 0)
            probe.bind(("127.0.0.1", port))
        return [probe.getsockname()[1] for probe in probes]


class Child:
    """A process of ours in a session of its own, and what it writes (to a temporary file without a name)."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: str | Path | None = None) -> None:
        self._log, name = tempfile.mkstemp()
        os.unlink(name)
        self._output: str | None = None
        try:
            self.process = subprocess.Popen(
                command,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        except OSError:
            os.close(self._log)
            raise

    @property
    def pid(self) -> int:
        """The process id; the id of its session and process group as well."""
        return self.process.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def output(self) -> str:
        """Everything it has written so far, standard output and error together; also after `stop`."""
        if self._output is not None:
            return self._output
        # pread leaves the file's position alone: the child, which shares it, writes there.
        return os.pread(self._log, os.fstat(self._log).st_size, 0).decode(errors="replace")

    def tail(self, lines: int = 30) -> str:
        """The last lines of `output`."""
        return "\n".join(self.output().splitlines()[-lines:])

    def stop(self) -> str:
        """SIGTERM, and after 10 s SIGKILL to its whole group; returns all of its output. May be called twice."""
        if self._output is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self.process.wait()
            self._output = self.output()
            os.close(self._log)
        return self._output


def jars() -> Path:
    """The directory of OAP's jars; the first call fetches them with Maven.

    They are complete as soon as the directory exists: they arrive beside it, and a rename puts them there. Of two that
    fetch at the same time the slower one drops its own.

    Raises:
        StartError: Maven is missing or has failed.
    """
    found = re.search(r"<oap\.version>(.+?)</", (HERE / "pom.xml").read_text())
    assert found, "the pom names no oap.version"
    home = Path(os.environ.get("OAP_HOME") or Path.home() / ".cache" / "swprof-oap")
    target = home / found[1]
    if target.is_dir():
        return target
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=f"{target.name}-") as temporary:
        fetched = Path(temporary) / "jars"
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={fetched}"]
        maven = [_program("mvn"), "-q", "-B", "-f", str(HERE / "pom.xml"), *goal]
        done = subprocess.run(maven, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StartError(f"Maven could not fetch OAP's jars:\n{(done.stdout + done.stderr)[-3000:]}")
        try:
            fetched.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    return target


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise StartError(f"OAP needs Java 11+ and, for its first start, Maven: there is no `{name}` on the PATH")
    return path


class OapServer:
    """A running OAP with an empty store in memory, from the constructor until `stop`; a context manager.

    Args:
        grpc_port: for agents; 0 takes a free one.
        http_port: for GraphQL; 0 takes a free one.
        token: what agents must send as ``authentication``; empty lets everybody in.
        tls_key: a PEM file; with ``tls_cert`` the gRPC port speaks TLS.
        tls_cert: a PEM file.
        client_ca: a PEM file; with it, agents must show a certificate of that authority.

    Raises:
        StartError: Java or Maven is missing, a port is taken, or OAP died or did not answer within 60 s.
    """

    def __init__(
        self,
        grpc_port: int = 0,
        http_port: int = 0,
        token: str = "",
        tls_key: str | Path | None = None,
        tls_cert: str | Path | None = None,
        client_ca: str | Path | None = None,
    ) -> None:
        if (tls_key is None) != (tls_cert is None) or (client_ca is not None and tls_key is None):
            raise ValueError(f"TLS needs both tls_key and tls_cert, got {tls_key!r} and {tls_cert!r}")
        classes = f"{HERE / 'config'}:{jars()}/*"
        command = [_program("java"), *JAVA_OPTIONS, "-cp", classes, MAIN_CLASS]
        try:
            self.grpc_port, self.http_port, self._core_port = free_ports(grpc_port, http_port, 0)
        except OSError as error:
            raise StartError(f"port {grpc_port} or {http_port} of 127.0.0.1 is taken: {error}") from error
        self.child = Child(command, self._environment(token, tls_key, tls_cert, client_ca))
        try:
            self._wait()
        except BaseException:
            self.child.stop()
            raise

    @property
    def grpc_address(self) -> str:
        """Where agents report, as ``host:port``."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def url(self) -> str:
        """Where GraphQL is asked."""
        return f"http://127.0.0.1:{self.http_port}/graphql"

    def stop(self) -> str:
        """End the server and wait for its end; returns its log. May be called twice."""
        return self.child.stop()

    def __enter__(self) -> OapServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _environment(
        self, token: str, key: str | Path | None, cert: str | Path | None, client_ca: str | Path | None
    ) -> dict[str, str]:
        own = {"OAP_GRPC_PORT": str(self.grpc_port), "OAP_HTTP_PORT": str(self.http_port)}
        if token:
            own["OAP_TOKEN"] = token
        if key and cert:
            own |= {"OAP_TLS": "true", "OAP_TLS_KEY": str(key), "OAP_TLS_CERT": str(cert)}
        if client_ca:
            # Of a port that other OAPs use too it never asks for certificates; agents then get one of their own.
            own |= {"OAP_CLIENT_CA": str(client_ca), "OAP_AGENTS_PORT": str(self.grpc_port)}
            own["OAP_GRPC_PORT"] = str(self._core_port)
        # Only the log level may come from outside; the rest is what the caller has said.
        inherited = {name: os.environ[name] for name in os.environ if not name.startswith("OAP_") or name == "OAP_LOG"}
        return inherited | own

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self.child.alive():
                raise StartError(f"OAP ended with {self.child.process.returncode}:\n{self.child.tail()}")
            if time.monotonic() > deadline:
                raise StartError(f"OAP did not answer on {self.url} within {START_SECONDS} s:\n{self.child.tail()}")
            time.sleep(0.2)

    def _answers(self) -> bool:
        asked = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=2)
        try:
            asked.request("POST", "/graphql", '{"query":"{version}"}', {"content-type": "application/json"})
            socket.create_connection(("127.0.0.1", self.grpc_port), timeout=2).close()
            return asked.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            asked.close()


def main() -> None:
    """Run one OAP in the foreground, on the ports and with the options of the environment, until Ctrl-C or SIGTERM."""
    env = os.environ
    for number in (signal.SIGINT, signal.SIGTERM):
        # Also where a shell has put us into the background, with SIGINT ignored.
        signal.signal(number, signal.default_int_handler)
    key, cert = (env.get("OAP_TLS_KEY"), env.get("OAP_TLS_CERT")) if env.get("OAP_TLS") == "true" else (None, None)
    ca = env.get("OAP_CLIENT_CA") if key else None
    ports = int(env.get("OAP_GRPC_PORT", 11800)), int(env.get("OAP_HTTP_PORT", 12800))
    with contextlib.suppress(KeyboardInterrupt), OapServer(*ports, env.get("OAP_TOKEN", ""), key, cert, ca) as oap:
        print(f"OAP: agents report to {oap.grpc_address}, GraphQL on {oap.url}, pid {oap.child.pid}", flush=True)
        raise StartError(f"OAP ended with {oap.child.process.wait()}:\n{oap.child.tail()}")


if __name__ == "__main__":
    try:
        main()
    except StartError as error:
        sys.exit(str(error))
