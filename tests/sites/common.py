"""What the sites of all frameworks share: a file to send, variables that views set, chunks."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import EntrySpan
from tests.sampled import work_until_sampled

#: A variable of the app's: what the request before left in this context.
LAST: ContextVar[str] = ContextVar("last_path", default="nothing")

#: In a variable of a view.
LOCAL_SECRET = "local" + "-secret"

#: What happened to bodies, oldest first: for the time after the answer.
events: list[str] = []

#: The modification time of the file, seconds since the epoch: the same in all runs.
WRITTEN = 1_700_000_000


class Failure(Exception):
    """What views raise."""


def file() -> Path:
    """A file of 70,000 bytes, more than one chunk for each server; the same one for all processes."""
    path = Path(tempfile.gettempdir()) / "swprof-test-file.txt"
    content = b"0123456789" * 7_000
    if not path.exists() or path.stat().st_size != len(content):
        path.write_bytes(content)
    os.utime(path, (WRITTEN, WRITTEN))
    return path


def chunks(count: int, fails: bool = False) -> Iterator[bytes]:
    """Chunks of a stream, which may break at its end."""
    for number in range(count):
        yield f"chunk {number}\n".encode()
    if fails:
        raise Failure("in the middle")


def visit(path: str) -> str:
    """What the request before left in this context, and leave ours."""
    before = LAST.get()
    LAST.set(path)
    return before


def spend(seconds: float) -> None:
    """Work that is sampled."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(100))


def private(given: dict[str, str]) -> str:
    """A view that has secrets in its variables while it is sampled; it fails with ``message``, if there is one.

    Returns:
        What it was given, in reverse.
    """
    local_secret = LOCAL_SECRET
    everything = {**given, "local": local_secret}
    if sampled():
        work_until_sampled(3)
    if everything.get("message"):
        raise Failure(everything["message"])
    return str(sorted(everything.values()))[::-1]


def sampled() -> bool:
    """Whether the request that the calling code belongs to is being profiled."""
    span = current_request.get()
    return isinstance(span, EntrySpan) and span.profiler is not None
