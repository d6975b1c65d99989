"""The Flask app, under gevent, with a greenlet that notes how long the hub kept it waiting."""

import time

import gevent

from bench.apps.flask_app import app

PAUSE = 0.001
_gaps: list[float] = []


def take_turns() -> None:
    """Ask for a turn every millisecond, and note how late each one comes, in seconds."""
    while True:
        asked = time.perf_counter()
        gevent.sleep(PAUSE)
        _gaps.append(time.perf_counter() - asked - PAUSE)


@app.get("/gap")
def gap() -> dict[str, float]:
    """The largest gap since this was asked last, in seconds; the first time, begin to watch."""
    if not _gaps:
        gevent.spawn(take_turns)
    largest = max(_gaps, default=0.0)
    _gaps[:] = [0.0]
    return {"seconds": largest}
