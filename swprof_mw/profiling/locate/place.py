"""What is noted of a request's whereabouts when it begins."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from types import FrameType
from typing import Any

from swprof_mw.native import get_ident

#: The request that the running code belongs to. Child tasks, and workers with a copied context, inherit it.
current_request: ContextVar[Place | None] = ContextVar("swprof_mw_request", default=None)


class Place:
    """Where a request was let into the app.

    What holds for a request that nobody looks at is the class's, so that one costs less to make.

    Attributes:
        thread_id: native identifier of the thread that it began on, or of its event loop.
        frame: the frame of our own entry, outside all of the app's; None while no code of the request can run there.
        task: the asyncio task that it began in; None for a request on its own thread.
        loop: the event loop of ``task``.
        greenlet: the greenlet that it runs on, if the app runs under gevent.
        ended: whether the request is over.
    """

    thread_id = 0
    frame: FrameType | None = None
    task: Any = None
    loop: Any = None
    greenlet: Any = None
    ended = False

    def enter(self, frame: FrameType) -> None:
        """The request's code runs on this thread now, inside of ``frame``."""
        self.thread_id = get_ident()
        if "gevent" in sys.modules:
            self.greenlet = current_greenlet()
        self.frame = frame

    def enter_task(self, frame: FrameType, task: Any, loop: Any) -> None:
        """The request's code runs in an asyncio task now, inside of ``frame``, a coroutine's."""
        self.thread_id = get_ident()
        self.task = task
        self.loop = loop
        self.frame = frame

    def leave(self) -> None:
        """No code of the request runs inside of the noted frame any more."""
        self.frame = None
        self.task = None
        self.greenlet = None


def current_greenlet() -> Any:
    """The greenlet that calls, if gevent is there; else None: other users of greenlets do not run requests on them."""
    module = sys.modules.get("greenlet") if "gevent" in sys.modules else None
    return module.getcurrent() if module is not None else None
