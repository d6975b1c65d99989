"""What the commands that serve a page have in common: they run until they are told to stop, and show where it is."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import urllib.parse
import webbrowser
from collections.abc import Callable, Collection, Iterator

from swprof_mw.cli.error import CommandError

EXTRA = frozenset({"anyio", "graphql", "grpc", "starlette", "uvicorn"})

#: What tells a command to end; not every system has both.
_ENDS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name))


@contextlib.contextmanager
def with_extra() -> Iterator[None]:
    """Imports what may not be installed, while inside: ``CommandError`` says how to."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        raise CommandError(f"{error.name} is not installed; run: pip install 'swprof-mw[collector]'") from error


@contextlib.contextmanager
def told_to_stop() -> Iterator[Callable[[], None]]:
    """What is given waits until SIGINT or SIGTERM has come, while inside. For the main thread only."""
    # A handler is called once the main thread does something, which it never does if it was about to block, or if the
    # system gave the signal to another thread. A byte is written at once, whichever thread that is.
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        woken = signal.set_wakeup_fd(writer.fileno())
        before = {number: signal.signal(number, _leave_it) for number in _ENDS}
        try:
            yield lambda: _read_one_of(_ENDS, reader)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(woken)


def _read_one_of(numbers: Collection[int], reader: socket.socket) -> None:
    while reader.recv(1)[0] not in numbers:
        continue


def _leave_it(*_: object) -> None:
    """What has to be done for a signal is done by who waits for it."""


def address(page: str, token: str) -> str:
    """What to print as the page's address: with its token in it if a person is there to see it, and no log keeps it.

    The part after ``#`` is the browser's alone: it sends it nowhere, the page reads it.
    """
    return f"{page}#token={urllib.parse.quote(token, safe='')}" if token and sys.stdout.isatty() else page


def open_browser(page: str) -> None:
    """Open the page in a browser, beside what this process does; stderr says so if there is none.

    The token is not in the address: other users of the machine see with what a program was started.
    """
    threading.Thread(target=_open, args=(page,), name="swprof-browser", daemon=True).start()


def _open(page: str) -> None:
    if not webbrowser.open(page):
        print(f"no browser could be opened for {page}", file=sys.stderr)
