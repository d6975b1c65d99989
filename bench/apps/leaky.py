"""The Flask app with something that stays behind of each traced request: what a fault of ours would do.

``LEAKS`` says what, by commas: ``span``, ``frame``, ``thread``, ``file``, ``slot``, ``trouble``.
"""

import copy
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from bench.apps.flask_app import app
from swprof_mw import agent
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import EntrySpan

__all__ = ["app"]

_kept: list[Any] = []
_slots: list[Any] = []


def _keep_frame(_: EntrySpan) -> None:
    _kept.append(sys._getframe())


def _keep_thread(_: EntrySpan) -> None:
    if threading.active_count() < 50:
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def _keep_file(_: EntrySpan) -> None:
    if len(os.listdir("/proc/self/fd")) < 100:
        os.open(os.devnull, os.O_RDONLY)


def _keep_slot(span: EntrySpan) -> None:
    running = agent.current()
    if span.profiler is not None and running is not None and not _slots:
        _slots.append(copy.copy(span.profiler))
        running.sampler.taken.update(_slots)


def _trouble(_: EntrySpan) -> None:
    logging.getLogger("swprof_mw").warning("something is wrong")


_LEAKS: dict[str, Callable[[EntrySpan], object]] = {
    "span": _kept.append,
    "frame": _keep_frame,
    "thread": _keep_thread,
    "file": _keep_file,
    "slot": _keep_slot,
    "trouble": _trouble,
}
_chosen = [_LEAKS[name] for name in os.environ["LEAKS"].split(",")]


@app.before_request
def leak() -> None:
    """Leave something behind, if the request is traced."""
    span = current_request.get()
    if isinstance(span, EntrySpan):
        for keep in _chosen:
            keep(span)
