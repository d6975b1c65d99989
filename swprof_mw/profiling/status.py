"""How far the profiling of one request is."""

from __future__ import annotations

from enum import Enum


class ProfileStatus(Enum):
    """NONE: no task asks for it. PENDING: waits for its minimum duration, or for its first snapshot.

    PROFILING: it is being sampled. STOPPED: it was, or will never be.
    """

    NONE = 0
    PENDING = 1
    PROFILING = 2
    STOPPED = 3
