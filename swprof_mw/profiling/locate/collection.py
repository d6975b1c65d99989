"""Garbage is not collected while frames of other threads are read, where that would crash the process."""

from __future__ import annotations

import gc
import sys

#: CPython 3.11 makes the object of a frame when it is first asked for, and may collect garbage in the middle of that.
#: A finalizer gives the GIL away, the other thread returns from the very function, and its dead frame is written to.
#: Before, frames were objects from the start; later, garbage is collected between two instructions only.
_IS_DANGEROUS = sys.version_info[:2] == (3, 11)


class NoCollection:
    """No garbage is collected inside of this, if that is dangerous here; what is due is collected right after.

    By the threshold: apps ask whether the collector is enabled, to leave it as they found it, and hardly for that.
    """

    __slots__ = ("_threshold",)

    def __enter__(self) -> None:
        """Up to here it may be collected."""
        self._threshold = gc.get_threshold()[0] if _IS_DANGEROUS else 0
        if self._threshold:
            gc.set_threshold(0)

    def __exit__(self, *_: object) -> None:
        """It may again, unless the app has said something else meanwhile."""
        if self._threshold and gc.get_threshold()[0] == 0:
            gc.set_threshold(self._threshold)
