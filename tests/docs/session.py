"""A page, done as its reader would: files written, servers started, requests sent, a profile asked for.

Ports are free ones in place of those that the page names; the agent asks for tasks more often, so that nobody waits.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.docs.commands import taken_apart
from tests.oap.server import Child, free_ports
from tests.snippets import ROOT
from tests.waiting import eventually

#: The ports that pages name: of an app, of the collector's or an OAP's agents, of its queries.
APP, AGENTS, QUERIES = 8000, 11800, 12800
#: Longest time that a command takes.
SECONDS = 90


class Session:
    """Terminals in a directory, until it is left.

    Args:
        directory: where the page's files are.
        backend: of a backend that runs already: its ports for agents and queries. Else two are free.
        programs: where more of them are.
    """

    def __init__(self, directory: Path, backend: tuple[int, int] | None = None, programs: Sequence[Path] = ()) -> None:
        agents, queries = backend or free_ports(0, 0)
        self.ports = {APP: free_ports(0)[0], AGENTS: agents, QUERIES: queries}
        self._directory = directory
        self._children: list[Child] = []
        self._environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), *map(str, programs), os.environ["PATH"]]),
            "PYTHONPATH": f"{directory}{os.pathsep}{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "XDG_RUNTIME_DIR": str(directory),
            "SW_AGENT_COLLECTOR_BACKEND_SERVICES": f"127.0.0.1:{agents}",
            "SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL": "0.2",
        }

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):
            child.stop()

    def here(self, text: str) -> str:
        """With this session's ports."""
        return re.sub(r"\b(8000|11800|12800)\b", lambda found: str(self.ports[int(found[0])]), text)

    def keep_running(self, line: str, answers: int | None = None) -> Child:
        """Start something in a terminal of its own, and wait until its port is open."""
        adapted = self._adapted(line)
        child = Child(["bash", "-c", f"exec env {adapted}" if answers else adapted], *self._where())
        self._children.append(child)
        if answers:
            eventually(lambda: self._is_open(child, self.ports[answers]), f"it listens: {line}", interval=0.05)
        return child

    def run(self, line: str) -> str:
        """Run something to its end; what it prints."""
        environment, directory = self._where()
        command = ["bash", "-c", self._adapted(line)]
        done = subprocess.run(
            command, env=environment, cwd=directory, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}\n{self.said()}"
        return done.stdout

    def said(self) -> str:
        """What the other terminals show."""
        return "\n".join(child.tail() for child in self._children)

    def _where(self) -> tuple[dict[str, str], Path]:
        return self._environment, self._directory

    def _adapted(self, line: str) -> str:
        """With free ports where none are named, too."""
        words = [command.program + " " + command.arguments[0] for command in taken_apart(line) if command.arguments]
        if "swprof collector" in words:
            line += f" --grpc-port {self.ports[AGENTS]} --http-port {self.ports[QUERIES]}"
        elif "swprof profile" in words:
            line += " --settle 1" + f" --oap http://127.0.0.1:{self.ports[QUERIES]}" * ("--oap" not in line)
        return self.here(line)

    @staticmethod
    def _is_open(child: Child, port: int) -> bool:
        assert child.alive(), child.tail()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False
