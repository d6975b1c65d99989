"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, timeout: float = 40.0, interval: float = 0.2) -> T:
    """What ``look`` returns once that is true, asked again and again.

    Raises:
        AssertionError: it was not true within ``timeout`` seconds; the message says what was waited for.
    """
    deadline = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(interval)
    return found
