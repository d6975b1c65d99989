"""What the backend knows as a service: its name, its properties in this process, and its profile tasks."""

from __future__ import annotations

import _socket
import os
import platform
from contextlib import closing
from typing import TYPE_CHECKING

from swprof_mw.config import Config
from swprof_mw.names import SERVICE_LENGTH, cut
from swprof_mw.profiling.service import ProfileTaskExecutionService
from swprof_mw.records import Finish, TaskCommand

if TYPE_CHECKING:
    from swprof_mw.agent import Agent

#: Somewhere on the network; the address is set aside for documentation (RFC 5737).
_ELSEWHERE = ("192.0.2.1", 9)


class Service:
    """One service of this process: what the backend lists, and what its apps report as.

    Attributes:
        process_id: of the process that it is a service of.
        ended: whether its agent has been stopped: then nothing is reported any more.
    """

    def __init__(self, agent: Agent, config: Config, name: str) -> None:
        self.name = cut(f"{name}|{config.namespace}" if config.namespace else name, SERVICE_LENGTH)
        self.instance = agent.instance
        self.process_id = agent.process_id
        self.ended = False
        self.profile_active = config.profile_active
        self.tasks = ProfileTaskExecutionService(agent.sampler, self._finished)
        self.prefix = agent.prefix
        self.next_number = agent.next_number
        self.report = agent.reporter.segments.add
        self._agent = agent
        self._namespace = config.namespace

    @property
    def last_command_time(self) -> int:
        """The newest CreateTime of a task seen so far, ms since the epoch; -1 before the first."""
        return self.tasks.last_command_time

    def receive(self, commands: list[TaskCommand], first_poll: bool) -> None:
        """Carry out what the backend sent."""
        self.tasks.receive(commands, first_poll)

    def process_tasks(self) -> bool:
        """Let tasks begin and end, each at its time. Whether there is one that runs, or is going to."""
        self.tasks.process_profile_task()
        return self.tasks.current is not None

    def properties(self) -> list[tuple[str, str]]:
        """What the instance says of itself."""
        found = [
            ("language", "python"),
            ("OS Name", platform.system()),
            ("Process No.", str(os.getpid())),
            ("hostname", _socket.gethostname()),
            ("ipv4", _address()),
            ("python", platform.python_version()),
        ]
        if self._namespace:
            found.append(("namespace", self._namespace))
        return [*found, *self._agent.config.instance_properties]

    def _finished(self, task_id: str) -> None:
        self._agent.reporter.report_finish(Finish(self.name, self.instance, task_id))


def _address() -> str:
    """The host's address, by which it reaches others.

    Names are not looked up: a child forked meanwhile could never look one up, nor could the app in it. The socket is
    the system's own: one that gevent has patched makes a hub in the thread that calls, which imports what the app's
    first hub may be importing at that moment. Then both wait for each other, for ever.
    """
    with closing(_socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)) as wire:
        try:
            wire.connect(_ELSEWHERE)  # sends nothing
        except OSError:  # there is no way out
            return "127.0.0.1"
        return str(wire.getsockname()[0])
