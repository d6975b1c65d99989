"""The backend of `bench/outages.py`, in a process of its own: fails and recovers as it is told on standard input."""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.faulty import SEGMENTS, SNAPSHOTS, Backend
from tests.outages import OUTAGES, Scene


def main() -> None:
    """Answer each line, ``["begin", KIND]``, ``["end"]`` or ``["arrived"]``, by a line of JSON."""
    with Scene() as scene:
        _tell(scene.line.address)
        for line in sys.stdin:
            word, *arguments = json.loads(line)
            if word == "begin":
                OUTAGES[arguments[0]].begin(scene)
            elif word == "end":
                scene.end()
            _tell(arrived(scene.backend) if word == "arrived" else None)


def arrived(backend: Backend) -> dict[str, list[int]]:
    """Of segments and snapshots how many were taken in all, and how many different ones."""
    segments = [each.traceSegmentId for each in backend.segments()]
    snapshots = [(each.traceSegmentId, each.sequence) for each in backend.messages(SNAPSHOTS)]
    return {
        "segments": [len(segments), len(set(segments))],
        "snapshots": [len(snapshots), len(set(snapshots))],
        "calls": [len(backend.calls(SEGMENTS)), len(backend.calls(SNAPSHOTS))],
    }


def _tell(what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
