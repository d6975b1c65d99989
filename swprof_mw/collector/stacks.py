"""Equal stacks are kept once, and so are equal frames: tables of both, with how often they are used.

A stack is used by profiles, a frame by stacks; what is used no more is deleted.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from struct import pack, unpack

from swprof_mw.collector.records import Stack

_AT_ONCE = 500
"""Parameters of a statement."""


class Stacks:
    """Changes the tables, within the transaction of the caller.

    Args:
        writer: the connection.
    """

    def __init__(self, writer: sqlite3.Connection) -> None:
        self._writer = writer

    def use(self, stack: Stack, digest: bytes) -> int:
        """The number of a stack, that one more profile uses from now on."""
        found = self._writer.execute("SELECT id FROM stack WHERE digest = ?", (digest,)).fetchone()
        if found is None:
            frames = self._use_frames(stack)
            made = self._writer.execute(
                "INSERT INTO stack (digest, frames, uses) VALUES (?, ?, 1)", (digest, _packed(frames))
            )
            return made.lastrowid or 0
        self._writer.execute("UPDATE stack SET uses = uses + 1 WHERE id = ?", found)
        number: int = found[0]
        return number

    def _use_frames(self, stack: Stack) -> list[int]:
        """The numbers of a stack's frames, that one more stack uses from now on."""
        digests = {text: digest_of((text,)) for text in set(stack)}
        self._writer.executemany(
            "INSERT INTO frame (digest, text, uses) VALUES (?, ?, 1)"
            " ON CONFLICT (digest) DO UPDATE SET uses = uses + 1",
            [(digest, text) for text, digest in digests.items()],
        )
        asked = "SELECT id FROM frame WHERE digest = ?"
        numbers = {text: self._writer.execute(asked, (digest,)).fetchone()[0] for text, digest in digests.items()}
        return [numbers[text] for text in stack]

    def release(self, stacks: list[int]) -> None:
        """One profile less uses them."""
        self._writer.executemany("UPDATE stack SET uses = uses - 1 WHERE id = ?", [(one,) for one in stacks])
        unused = [
            row
            for some in _portions(stacks)
            for row in self._writer.execute(
                f"SELECT id, frames FROM stack WHERE uses = 0 AND id IN ({_marks(some)})",  # noqa: S608
                some,
            )
        ]
        frames = Counter(frame for _, packed in unused for frame in set(unpacked(packed)))
        self._writer.executemany(
            "UPDATE frame SET uses = uses - ? WHERE id = ?", [(count, frame) for frame, count in frames.items()]
        )
        self._writer.executemany("DELETE FROM frame WHERE id = ? AND uses = 0", [(frame,) for frame in frames])
        self._writer.executemany("DELETE FROM stack WHERE id = ?", [(number,) for number, _ in unused])


def of_profile(reader: sqlite3.Connection, profile: int) -> dict[int, Stack]:
    """The stacks of a profile's snapshots by their numbers; equal frames are one object."""
    rows = reader.execute(
        "SELECT id, frames FROM stack WHERE id IN (SELECT stack FROM snapshot WHERE profile = ?)", (profile,)
    )
    numbers = {number: unpacked(packed) for number, packed in rows}
    found = texts(reader, {frame for frames in numbers.values() for frame in frames})
    return {number: tuple(found[frame] for frame in frames) for number, frames in numbers.items()}


def texts(reader: sqlite3.Connection, frames: Iterable[int]) -> dict[int, str]:
    """The texts of frames by their numbers."""
    return {
        number: text
        for some in _portions(sorted(frames))
        for number, text in reader.execute(f"SELECT id, text FROM frame WHERE id IN ({_marks(some)})", some)  # noqa: S608
    }


def digest_of(stack: Stack) -> bytes:
    """Of 16 bytes; equal for equal stacks only."""
    joined = "\0".join(stack)
    if joined.count("\0") == len(stack) - 1:
        return blake2b(joined.encode(), digest_size=16).digest()
    return blake2b(repr(stack).encode(), digest_size=16, person=b"repr").digest()  # a frame holds the separator


def _packed(frames: list[int]) -> bytes:
    return pack(f"<{len(frames)}I", *frames)


def unpacked(frames: bytes) -> tuple[int, ...]:
    """The numbers of frames that a stack's column ``frames`` holds: 32 bits each, the lowest byte first."""
    return unpack(f"<{len(frames) // 4}I", frames)


def _portions(numbers: list[int]) -> Iterable[list[int]]:
    return (numbers[at : at + _AT_ONCE] for at in range(0, len(numbers), _AT_ONCE))


def _marks(values: list[int]) -> str:
    return ",".join("?" * len(values))
