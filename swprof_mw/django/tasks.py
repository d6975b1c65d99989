"""Requests that Django answers in an asyncio task."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, TypeVar

from swprof_mw.failures import guarded
from swprof_mw.span import EntrySpan

#: What ends an await and is no failure: the last chunk was read, or nobody waits any more.
HARMLESS = (StopAsyncIteration, asyncio.CancelledError, GeneratorExit)

R = TypeVar("R")


async def run_in_task(span: EntrySpan, function: Callable[..., Awaitable[R]], *args: Any) -> R:
    """Await some of the app's code as the request's. What it raises is noted in the span and passes on."""
    token = span.activate()
    enter_task(span, sys._getframe())
    try:
        return await function(*args)
    except BaseException as exception:
        if not issubclass(type(exception), HARMLESS):
            span.error(exception)
        raise
    finally:
        span.leave()
        span.deactivate(token)


@guarded("following a Django task")
def end_with_task(span: EntrySpan) -> None:
    """End the request, if nothing did before, with the task that runs now, which sends its response.

    Django does not close a response whose client is gone, or whose sending fails.
    """
    task = asyncio.current_task()
    if task is not None and not span.ended:
        task.add_done_callback(lambda _: span.end())


@guarded("locating a Django request")
def enter_task(span: EntrySpan, frame: FrameType) -> None:
    """The code that runs from now on in the task that runs now, inside of ``frame``, is the request's."""
    span.enter_task(frame, asyncio.current_task(), asyncio.get_running_loop())
