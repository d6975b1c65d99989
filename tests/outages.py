"""The ways a backend can fail as a whole: each begins, lasts, and ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from tests.faulty import SEGMENTS, SNAPSHOTS, Backend
from tests.relay import Relay

Begin = Callable[["Scene"], object]


class Scene:
    """A backend, and the line that leads to it; a context manager.

    Attributes:
        backend: what is reported to.
        line: where it is reported to.
    """

    def __init__(self) -> None:
        self.backend = Backend().start()
        self.line = Relay(self.backend.port)
        self._downs = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def breaks(self) -> int:
        """How often the connection broke so far, at the most."""
        return 1 + self._downs + self.line.cuts

    def again_and_again(self, down: Callable[[], object], up: Callable[[], object], seconds: float) -> None:
        """Until the end: down for so long, up for so long."""
        over = self._over = threading.Event()

        def run() -> None:
            while True:
                self._downs += 1
                down()
                ended = over.wait(seconds)
                up()
                if ended or over.wait(seconds):
                    return

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The outage is over. May be called twice."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self.backend.heal(at_once=False)
        self.line.open()

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self.line.stop()
        self.backend.stop()


@dataclass(frozen=True)
class Outage:
    """One way to fail.

    Attributes:
        begin: lets it begin.
        told: whether it is an outage to the reporter: told in the log.
    """

    begin: Begin
    told: bool = True


def _refuses_all(status: grpc.StatusCode) -> Begin:
    return lambda scene: scene.backend.fault(status=status)


def _half_way(scene: Scene) -> None:
    # Streams end in their middle by the backend's word, all else by a connection that breaks off.
    scene.backend.fault(SNAPSHOTS, status=grpc.StatusCode.UNAVAILABLE, after=7)
    scene.line.cut(after=2_000)


def _slow(scene: Scene) -> None:
    scene.backend.fault(delay=0.6)
    scene.backend.fault(SEGMENTS, delay=1.2)


#: By what a person would call it.
OUTAGES = {
    "absent": Outage(lambda scene: scene.line.refuse()),  # from the start on
    "refusing": Outage(lambda scene: scene.line.refuse()),
    "black hole": Outage(lambda scene: scene.line.swallow()),
    "hung": Outage(lambda scene: scene.backend.fault(hangs=True)),
    "slow": Outage(_slow, told=False),
    "half-way": Outage(_half_way),
    "restarting": Outage(lambda scene: scene.again_and_again(scene.backend.stop, scene.backend.start, 0.4)),
    "flapping": Outage(lambda scene: scene.again_and_again(scene.line.refuse, scene.line.open, 1.0)),
    "PERMISSION_DENIED": Outage(_refuses_all(grpc.StatusCode.PERMISSION_DENIED)),
    "UNIMPLEMENTED": Outage(_refuses_all(grpc.StatusCode.UNIMPLEMENTED)),
    "RESOURCE_EXHAUSTED": Outage(_refuses_all(grpc.StatusCode.RESOURCE_EXHAUSTED)),
}
