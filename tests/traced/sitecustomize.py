"""Lets coverage follow the package's own threads too, which it hides from tools: for ``nox -s coverage``.

Every process of a test run that has this directory on its ``PYTHONPATH`` begins with it.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable
from typing import Any

_start = _thread.start_new_thread


def _start_traced(function: Callable[..., object], arguments: tuple[Any, ...], *keywords: Any) -> int:
    """As of `_thread`; the new thread is traced as those of `threading` are."""

    def traced(*given: Any, **named: Any) -> object:
        sys.settrace(threading.gettrace())
        return function(*given, **named)

    return _start(traced, arguments, *keywords)


_thread.start_new_thread = _start_traced
if sys.version_info >= (3, 12):
    for number in (3, 4):  # without one of these the package has nothing to hide behind
        sys.monitoring.use_tool_id(number, "coverage")
