"""What the apps do, whatever their framework; with ``REPORTED`` set, each process lists there what it reports."""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import subprocess
import time
from typing import Any

from swprof_mw.records import Ended, Snapshot
from swprof_mw.reporter.reporter import Reporter

#: A matching request takes so many seconds, a part of it computing.
SECONDS = 0.25
COMPUTING = 0.05


def work() -> str:
    """The profiled endpoint's work."""
    until = time.thread_time() + COMPUTING
    while time.thread_time() < until:
        sum(range(300))
    time.sleep(SECONDS - COMPUTING)
    return answer()


def answer() -> str:
    """Which process answers, and of whom it is a child."""
    return json.dumps({"pid": os.getpid(), "parent": os.getppid()})


def split(how: str) -> str:
    """Start another process in the middle of the request, and wait for it: its exit status."""
    if how == "os.fork":
        pid = os.fork()
        if not pid:
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
    elif how == "subprocess":
        status = subprocess.run(["/bin/sh", "-c", "exit 3"], check=False).returncode
    else:
        context: Any = multiprocessing.get_context(how)
        child = context.Process(target=time.sleep, args=(0.01,))
        child.start()
        child.join(20)
        status = -1 if child.exitcode is None else child.exitcode
    return str(status)


def _list() -> None:
    """Keep a list of all ids that are taken to be reported: by it the other side's is checked."""
    directory = os.environ["REPORTED"]
    init = Reporter.__init__

    def note(kind: str, what: str) -> None:
        with open(f"{directory}/{kind}-{os.getpid()}", "a") as file:
            file.write(f"{what}\n")

    def noting(self: Reporter, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        add_segment, add_snapshot = self.segments.add, self.snapshots.add

        def segment(ended: Ended) -> bool:
            note("segments", ended.segment().segment_id)
            return add_segment(ended)

        def snapshot(snapshot: Snapshot) -> bool:
            kept = add_snapshot(snapshot)
            note("snapshots" if kept else "dropped", f"{snapshot.segment_id} {snapshot.sequence}")
            return kept

        self.segments.add, self.snapshots.add = segment, snapshot  # type: ignore[method-assign, assignment]

    Reporter.__init__ = noting  # type: ignore[method-assign]


with contextlib.suppress(ImportError):
    importlib.import_module("watched")  # a module in the directory that the server runs in
if os.environ.get("REPORTED"):
    _list()
