"""What goes wrong on our side is logged once a minute for each place, and never reaches the app.

Whatever we got wrong, a request goes on: `guarded` catches everything. What each request runs through does so itself
and calls `failed`, since a wrapper's call costs more than most of what it wraps.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from swprof_mw.log import fields

logger = logging.getLogger("swprof_mw")

_QUIET_SECONDS = 60.0
_last: dict[str, float] = {}

P = ParamSpec("P")
R = TypeVar("R")


def guarded(doing: str) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Make a function return None, with a line in the log, where it would raise. ``doing`` names it there."""

    def wrap(function: Callable[P, R]) -> Callable[P, R | None]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except Exception:  # noqa: BLE001
                failed(doing)
                return None

        return call

    return wrap


def note(message: str, *arguments: object, extra: Mapping[str, object]) -> None:
    """Log what is wrong with something that we were given, once a minute for each ``message``."""
    now = time.monotonic()
    if now - _last.get(message, -_QUIET_SECONDS) >= _QUIET_SECONDS:
        _last[message] = now
        with contextlib.suppress(Exception):
            logger.warning(message, *arguments, extra=extra)


def failed(doing: str) -> None:
    """Log the exception that is being handled, once a minute for each ``doing``, which names what went wrong."""
    now = time.monotonic()
    if now - _last.get(doing, -_QUIET_SECONDS) >= _QUIET_SECONDS:
        _last[doing] = now
        error = sys.exc_info()[1]
        # A filter of the app's may fail itself.
        with contextlib.suppress(Exception):
            if error is not None:
                # An exception that the app was handling meanwhile is none of ours, and its text may be a secret.
                error.__suppress_context__ = True
            words = "swprof_mw failed in %s; the app goes on without it"
            logger.exception(words, doing, extra=fields("internal_error", doing=doing))
