"""What tests ask of a server's process besides its sites, at paths that begin with ``/-/``."""

from __future__ import annotations

import json

from tests.recorded import Recorded
from tests.sites.common import events


class EveryName(str):
    """Equal to every other text."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def control(path: str) -> bytes:
    """Answer one question, in JSON.

    ``/-/task`` lets a task for every endpoint run from now on, ``/-/stop`` ends it; both tell how many requests hold a
    slot, and how many snapshots there were. ``/-/events`` tells what happened to bodies since it was asked last.
    """
    what = path.removeprefix("/-/")
    if what == "events":
        happened = list(events)
        events.clear()
        return json.dumps(happened).encode()
    running = Recorded()
    for service in running.agent.services.values():
        if service.tasks.current is not None:
            service.tasks.stop_current_profile_task(service.tasks.current)
        if what == "task":
            running.profile(EveryName("every"), service.name, max_sampling_count=10**9)
    snapshots = running.agent.reporter.snapshots
    return json.dumps([len(running.agent.sampler.taken), len(snapshots) + snapshots.sent]).encode()
