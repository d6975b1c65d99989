"""What the commands that serve a page have in common: they run until they are told to stop, and show where it is."""

from __future__ import annotations

import contextlib
import queue
import signal
import sys
import threading
import urllib.parse
import webbrowser
from collections.abc import Callable, Iterator

from swprof_mw.cli.error import CommandError

EXTRA = frozenset({"graphql", "starlette", "uvicorn"})


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
    """What is given waits until SIGINT or SIGTERM has come, while inside."""
    # Not an event: a handler that sets one blocks for ever where it interrupts the beginning of the wait for it.
    told: queue.SimpleQueue[None] = queue.SimpleQueue()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, lambda _number, _frame: told.put(None))
        yield told.get
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
