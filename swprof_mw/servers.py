"""What some servers need of us, beyond WSGI and ASGI: to begin and to end in their way."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

from swprof_mw.failures import guarded

#: The options that make uWSGI let other threads run while it waits for requests; each implies ``enable-threads``.
_WITH_THREADS = (
    "enable-threads",
    "threads",
    "gevent",
    "asyncio",
    "py-tracebacker",
    *(f"{py}-{reload}" for py in ("py", "python") for reload in ("autoreload", "auto-reload")),
)
_OFF = (b"false", b"no", b"0")


def threads_run() -> bool:
    """Whether threads get to run at all: under uWSGI not unless it was told so."""
    uwsgi = sys.modules.get("uwsgi")
    options = getattr(uwsgi, "opt", None)
    return not isinstance(options, dict) or lets_threads_run(options)


def lets_threads_run(options: Mapping[Any, Any]) -> bool:
    """Whether uWSGI does, with these options; names and values may be bytes."""
    return any(_is_on(options, name) for name in _WITH_THREADS)


def _is_on(options: Mapping[Any, Any], name: str) -> bool:
    value = options.get(name, options.get(name.encode(), False))
    return bool(value) and (value.encode() if isinstance(value, str) else value) not in _OFF


@guarded("asking uWSGI what this process is")
def is_loading() -> bool:
    """Whether uWSGI is about to fork its workers off this process: what begins now would not be there in them."""
    uwsgi: Any = sys.modules.get("uwsgi")
    if not hasattr(uwsgi, "worker_id"):
        return False
    return not (uwsgi.worker_id() or uwsgi.mule_id() or uwsgi.i_am_the_spooler())


def before_uvicorn_ends(end: Callable[[], None]) -> None:
    """Call ``end`` once uvicorn has answered its last request, if there is a uvicorn that was stopped by a signal.

    It then raises the signal again, by which the process ends at once: nothing is done any more at the interpreter's
    end. The lifespan is no help: not every app has one.
    """
    server = getattr(sys.modules.get("uvicorn.server"), "Server", None)
    shutdown = getattr(server, "shutdown", None)
    if shutdown is None or hasattr(shutdown, "__wrapped__"):
        return

    @functools.wraps(shutdown)
    async def shut_down(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await shutdown(self, *args, **kwargs)
        finally:
            if getattr(self, "_captured_signals", True):
                guarded("ending with uvicorn")(end)()

    server.shutdown = shut_down  # type: ignore[union-attr]
