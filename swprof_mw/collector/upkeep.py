"""What a store needs done from time to time."""

from __future__ import annotations

import threading

from swprof_mw.collector.errors import StoreError
from swprof_mw.collector.store import Store
from swprof_mw.failures import guarded

MINUTE = 60.0
"""Seconds between two looks for what is too old, less where little is kept."""

_BREATH = 0.1
"""Seconds that others may write in, after each piece of what is deleted."""


class Upkeep:
    """Deletes what is too old, in a thread of its own, piece by piece."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._every = min(MINUTE, max(1.0, store.retention / 1000 / 100)) if store.retention else MINUTE
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="swprof-collector-upkeep", daemon=True)

    def start(self) -> Upkeep:
        """Begin at once; returns itself."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Returns once the thread has ended."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            pause = _BREATH if self._expire() else self._every

    @guarded("the collector's upkeep")
    def _expire(self) -> bool:
        try:
            return self._store.expire()
        except StoreError:  # it was logged there
            return False
