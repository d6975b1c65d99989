"""The SQLite file, or the memory, behind a store: opened, brought to the newest version, and its connections."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator

from swprof_mw.collector import schema
from swprof_mw.collector.errors import StoreError

BUSY = 5.0
"""Seconds to wait for another program that has the file locked, one that makes a copy of it for example."""

LOG_SIZE = 16 * 1024 * 1024
"""Bytes that the write-ahead log has at the most, unless much comes at once or queries take long."""

AT_ONCE = 1_000
"""Pages that are given back to the file system at a time: agents wait meanwhile."""


class Database:
    """One connection that writes, and for a file as many that read beside it as there are readers at once.

    In memory all share one connection, and wait for each other.

    Args:
        path: of the file; empty: in memory.

    Raises:
        StoreError: the file cannot be opened or written, is no store, is another collector's, or of a newer version.
    """

    def __init__(self, path: str = "") -> None:
        self.path = os.path.abspath(path) if path else ""
        self.writing = threading.Lock()
        """Held by who uses ``writer``."""
        self._held = contextlib.ExitStack()
        self._readers: list[sqlite3.Connection] = []
        self.closed = False
        try:
            self.writer = self._opened()
        except BaseException:
            self._held.close()
            raise
        self._page_size = _number(self.writer, "page_size")
        self.bound_log(8 * LOG_SIZE)
        self._end = weakref.finalize(self, self._held.close)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the data throughout. Raises ``StoreError`` if the store was closed."""
        if self.closed:
            raise StoreError("the store was closed")
        if not self.path:
            with self.writing:
                yield self.writer
            return
        reader = self._reader()
        reader.execute("BEGIN")
        try:
            yield reader
        finally:
            reader.execute("ROLLBACK")
            self._readers.append(reader)

    def close(self) -> None:
        """Close all connections; what was committed is in the one file then. May be called again."""
        with self.writing:
            self.closed = True
            self._end()

    def bound_log(self, size: int) -> int:
        """Give the write-ahead log a share of ``size`` bytes; returns it, 0 in memory."""
        if not self.path:
            return 0
        share = min(LOG_SIZE, size // 8)
        self.writer.execute(f"PRAGMA journal_size_limit = {share}").fetchall()
        self.writer.execute(f"PRAGMA wal_autocheckpoint = {share // 2 // self._page_size}").fetchall()
        return share

    @property
    def used(self) -> int:
        """Bytes of the pages that hold anything, those not yet moved out of the write-ahead log included."""
        return (_number(self.writer, "page_count") - _number(self.writer, "freelist_count")) * self._page_size

    def shrink(self, size: int) -> bool:
        """Give some free pages back to the file system if there are more than ``size`` bytes; whether to go on with it.

        Raises ``StoreError`` if the file cannot be written.
        """
        pages = _number(self.writer, "page_count")
        excess = pages - size // self._page_size
        try:
            if excess <= 0 or not _number(self.writer, "freelist_count"):
                return self._is_longer_than(pages) and not self._is_log_emptied()
            # As a script, which is stepped to its end: of rows without columns, one a page, only the first is fetched.
            self.writer.executescript(f"PRAGMA incremental_vacuum({min(excess, AT_ONCE)})")
        except sqlite3.Error as error:
            raise StoreError(f"the store cannot be written: {error}") from error
        return True

    def _is_longer_than(self, pages: int) -> bool:
        """Whether pages that were given back are still in the file, as they are until the log is moved in."""
        return bool(self.path) and os.path.getsize(self.path) > pages * self._page_size

    def _is_log_emptied(self) -> bool:
        """Move the log into the file, and empty it; false while somebody reads what was before."""
        self.writer.execute("PRAGMA busy_timeout = 0").fetchall()  # agents would wait, too
        try:
            return not self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            self.writer.execute(f"PRAGMA busy_timeout = {BUSY * 1000:.0f}").fetchall()

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._readers.pop()
        except IndexError:
            reader = self._connect()
            reader.execute("PRAGMA query_only = 1")
            return reader

    def _connect(self) -> sqlite3.Connection:
        made = sqlite3.connect(self.path or ":memory:", timeout=BUSY, isolation_level=None, check_same_thread=False)
        self._held.callback(made.close)
        return made

    def _opened(self) -> sqlite3.Connection:
        if self.path:
            self._held.callback(_claimed(self.path).close)
        try:
            writer = self._connect()
            self._prepare(writer)
        except sqlite3.DatabaseError as error:
            raise StoreError(f"cannot use {self.path} as the store: {error}") from error
        return writer

    def _prepare(self, writer: sqlite3.Connection) -> None:
        version = self._version(writer)
        if not version:
            writer.execute("PRAGMA auto_vacuum = INCREMENTAL")
        if self.path:
            writer.execute("PRAGMA journal_mode = WAL")
            writer.execute("PRAGMA synchronous = NORMAL")
            # Some systems' SQLite writes zeros over pages that get free: what is deleted would go through the log.
            writer.execute("PRAGMA secure_delete = FAST").fetchall()
        writer.execute("BEGIN IMMEDIATE")  # fails for a file that can only be read
        try:
            schema.migrate(writer, version)
        except BaseException:
            writer.execute("ROLLBACK")
            raise
        writer.execute("COMMIT")

    def _version(self, writer: sqlite3.Connection) -> int:
        version, application = _number(writer, "user_version"), _number(writer, "application_id")
        if application != schema.APPLICATION and _number(writer, "schema_version"):
            raise StoreError(f"cannot use {self.path} as the store: it is another program's database")
        if version > schema.VERSION:
            raise StoreError(
                f"cannot use {self.path} as the store: a newer swprof-mw wrote it"
                f" (version {version} of the file, this one knows {schema.VERSION})"
            )
        return version


def _claimed(path: str) -> sqlite3.Connection:
    """What holds a lock that one collector has at a time; it ends with the process, however that ends.

    It is SQLite's own, on a file beside the store: each system has another call for locks.
    """
    try:
        # Frames and paths are nobody else's business: SQLite gives its other files the same rights.
        for file in (path, f"{path}-lock"):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(f"cannot use {path} as the store: {error.strerror or error}") from error
    lock = sqlite3.connect(f"{path}-lock", timeout=0, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        raise StoreError(f"cannot use {path} as the store: another collector is using it") from error
    return lock


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    found: int = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    return found
