"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from swprof_mw.query.client import OapClient

T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, timeout: float = 40.0, interval: float = 0.2) -> T:
    """What ``look`` returns once that is true, asked again and again.

    Raises:
        AssertionError: it was not true within ``timeout`` seconds; the message says what was waited for.
    """
    deadline = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(interval)
    return found


def endpoints_listed(client: OapClient, service: str, *endpoints: str) -> None:
    """Wait until the backend lists the service with these endpoints: a task can be created for one then."""

    def is_listed() -> bool:
        return service in client.services() and {*endpoints} <= {*client.endpoints(service)}

    eventually(is_listed, f"{service} is listed with {', '.join(endpoints)}")


def fetched(client: OapClient, tasks: Mapping[str, str], instances: int = 1) -> None:
    """Wait until so many instances carry each profile task out; the service of each is given by its id.

    A backend says that one has fetched it as it answers, so a moment before: on a busy machine that may take a while.
    """

    def missing() -> list[str]:
        every = {service: client.tasks(service) for service in tasks.values()}
        told = {task.id: len(task.notified) for listed in every.values() for task in listed}
        return [task for task in tasks if told[task] < instances]

    eventually(lambda: not missing(), "the tasks are fetched", interval=0.05)
    time.sleep(0.3)
