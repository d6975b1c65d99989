"""pprof's format: a gzipped message ``perftools.profiles.Profile`` of profile.proto, written by hand.

Its numbers of fields are the ones below and will stay; the message's classes would need a descriptor in every process.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence

from swprof_mw import __version__
from swprof_mw.export.frame import Frame, frame
from swprof_mw.export.profile import Profile, Stack
from swprof_mw.export.visible import visible

MILLISECOND = 1_000_000
"""In ns, as the message counts a profile's own times."""

TIME = "time"
SAMPLES = "samples"


def encode(profiles: Sequence[Profile]) -> bytes:
    """All profiles together; each sample is a stack's own ms and snapshots, and labelled with its request's labels."""
    return gzip.compress(_Writer().profile(profiles), mtime=0)


class _Writer:
    """Numbers strings, functions and locations, each when it is first met. Number 0 is the empty string, and no id."""

    def __init__(self) -> None:
        self._strings = {"": 0}
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[Frame, int] = {}

    def profile(self, profiles: Sequence[Profile]) -> bytes:
        """The message ``Profile``."""
        samples = [_message(2, self._sample(stack, profile)) for profile in profiles for stack in profile.stacks]
        parts = [
            _message(1, _fields((1, self._string(TIME)), (2, self._string("milliseconds")))),
            _message(1, _fields((1, self._string(SAMPLES)), (2, self._string("count")))),
            *samples,
            *(_message(4, self._location(number, one)) for one, number in self._locations.items()),
            *(_message(5, self._function(number, *one)) for one, number in self._functions.items()),
            _fields(
                (9, min((profile.start for profile in profiles if profile.start), default=0) * MILLISECOND),
                (10, sum(profile.duration for profile in profiles) * MILLISECOND),
                (13, self._string(f"swprof_mw {__version__}")),
                (14, self._string(TIME)),
            ),
        ]
        strings = (_message(6, text.encode()) for text in self._strings)  # last: the others have added to them
        return b"".join([*parts, *strings])

    def _sample(self, stack: Stack, profile: Profile) -> bytes:
        """``Sample``: innermost location first."""
        frames = [frame(text) for text in reversed(stack.code_signatures)]
        locations = [self._locations.setdefault(one, len(self._locations) + 1) for one in frames]
        labels = [_fields((1, self._string(key)), (2, self._string(value))) for key, value in profile.labels if value]
        packed = _message(1, _varints(locations)) + _message(2, _varints([stack.duration, stack.count]))
        return packed + b"".join(_message(3, label) for label in labels)

    def _location(self, number: int, one: Frame) -> bytes:
        """``Location`` with its one ``Line``."""
        function = self._functions.setdefault((one.function, one.file), len(self._functions) + 1)
        return _fields((1, number)) + _message(4, _fields((1, function), (2, one.line)))

    def _function(self, number: int, name: str, file: str) -> bytes:
        """``Function``. It has no system name: of one, pprof would take ``<module>`` for a mangled part and cut it."""
        return _fields((1, number), (2, self._string(name)), (4, self._string(file)))

    def _string(self, text: str) -> int:
        return self._strings.setdefault(visible(text), len(self._strings))


def _message(field: int, content: bytes) -> bytes:
    """A field whose value is a message, a text or packed numbers."""
    return _varints([field << 3 | 2, len(content)]) + content


def _fields(*fields: tuple[int, int]) -> bytes:
    """Fields of whole numbers from 0; those of 0 are left out."""
    return b"".join(_varints([number << 3, value]) for number, value in fields if value)


def _varints(values: Iterable[int]) -> bytes:
    """Whole numbers from 0, seven bits a byte, the lowest first."""
    encoded = bytearray()
    for value in values:
        while value > 0x7F:
            encoded.append(value & 0x7F | 0x80)
            value >>= 7
        encoded.append(value)
    return bytes(encoded)
