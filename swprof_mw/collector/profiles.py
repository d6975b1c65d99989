"""The snapshots of profiled requests, bounded: the oldest profile goes first, and whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from swprof_mw.collector.records import Segment, Snapshot, Stack

_SNAPSHOT = 250
_FRAME = 8


class _Profile:
    """Of one segment. Equal stacks are kept once, and so are equal code signatures."""

    def __init__(self) -> None:
        self.snapshots: dict[int, Snapshot] = {}
        self.segment: Segment | None = None
        self.weight = 0
        self._stacks: dict[Stack, Stack] = {}
        self._texts: dict[str, str] = {}

    def weigh(self, snapshot: Snapshot) -> int:
        """The bytes that it would take, roughly."""
        if snapshot.stack in self._stacks:
            return _SNAPSHOT
        new = {text for text in snapshot.stack if text not in self._texts}
        return _SNAPSHOT + 2 * _FRAME * len(snapshot.stack) + sum(sys.getsizeof(text) for text in new)

    def add(self, snapshot: Snapshot) -> None:
        """Keep it."""
        stack = self._stacks.get(snapshot.stack)
        if stack is None:
            stack = tuple(self._texts.setdefault(text, text) for text in snapshot.stack)
            self._stacks[stack] = stack
        self.snapshots[snapshot.sequence] = replace(snapshot, stack=stack)


class Profiles:
    """Not safe to use from several threads: the store's lock is held.

    Args:
        count: snapshots in all.
        size: bytes in all, roughly.
    """

    def __init__(self, count: int, size: int) -> None:
        self._max_count, self._max_size = count, size
        self._profiles: dict[str, _Profile] = {}
        self._count = self._size = 0

    def __contains__(self, segment_id: str) -> bool:
        return segment_id in self._profiles

    def __iter__(self) -> Iterator[Segment]:
        """The segments that are known of those that have snapshots."""
        return (profile.segment for profile in self._profiles.values() if profile.segment is not None)

    def add(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, if no earlier one of its segment has its number, and its profile does not fill the store."""
        profile = self._profiles.get(snapshot.segment_id) or _Profile()
        if snapshot.sequence in profile.snapshots:
            return
        weight = profile.weigh(snapshot)
        if self._make_room(1, weight, snapshot.segment_id):
            self._profiles[snapshot.segment_id] = profile
            profile.add(snapshot)
            self._grow(profile, 1, weight)

    def attach(self, segment: Segment) -> None:
        """Keep the segment that a profile is of, as long as the profile."""
        profile = self._profiles[segment.segment_id]
        if profile.segment is not None:
            self._grow(profile, 0, -profile.segment.weight)
            profile.segment = None
        if self._make_room(0, segment.weight, segment.segment_id):
            profile.segment = segment
            self._grow(profile, 0, segment.weight)

    def snapshots(self, segment_id: str) -> list[Snapshot]:
        """The snapshots of a segment; none if it is not known."""
        profile = self._profiles.get(segment_id)
        return list(profile.snapshots.values()) if profile is not None else []

    def of_task(self, task_id: str) -> list[Segment]:
        """The segments that have the task's snapshot number 0."""
        found = [(profile.segment, profile.snapshots.get(0)) for profile in self._profiles.values()]
        return [segment for segment, first in found if segment and first and first.task_id == task_id]

    def _make_room(self, count: int, weight: int, segment_id: str) -> bool:
        """Drop the profiles that are older than that of this segment, as far as needed. False if it is not enough."""
        while self._count + count > self._max_count or self._size + weight > self._max_size:
            oldest = next(iter(self._profiles), segment_id)
            if oldest == segment_id:
                return False
            dropped = self._profiles.pop(oldest)
            self._grow(dropped, -len(dropped.snapshots), -dropped.weight)
        return True

    def _grow(self, profile: _Profile, count: int, weight: int) -> None:
        profile.weight += weight
        self._size += weight
        self._count += count
