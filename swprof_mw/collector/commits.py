"""Group commit: what many calls add at the same time goes to the database in one transaction, or few if it is much."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator

from swprof_mw.collector.database import Database
from swprof_mw.collector.errors import StoreError
from swprof_mw.failures import note
from swprof_mw.log import fields

Change = Callable[[], None]

LARGEST = 1_000
"""Changes of one batch."""

OLDEST = 0.05
"""Seconds after which a batch is carried out by who adds to it next, whether anybody waits for it or not."""


class Batch:
    """Changes that are committed together. Where one transaction fails, all of them are reported as failed."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.since = time.monotonic()
        self.done = False
        self.error: BaseException | None = None

    @property
    def is_ripe(self) -> bool:
        """Whether it should wait for no more changes."""
        return len(self.changes) >= LARGEST or time.monotonic() - self.since > OLDEST

    def check(self) -> None:
        """Raise ``StoreError`` if it was carried out and failed."""
        if self.error is not None:
            raise StoreError(f"the store cannot be written: {self.error}") from self.error


class Commits:
    """Who needs a batch committed carries it out, with what others have added to it until then.

    Args:
        database: where to write.
        finish: the last change of each transaction.
        failed: called after changes were taken back: what was noted beside the database is wrong then.
        growth: bytes by which a transaction may let the data grow before the next one begins; 0: any.
    """

    def __init__(self, database: Database, finish: Change, failed: Change, growth: int = 0) -> None:
        self._database, self._finish, self._failed, self._growth = database, finish, failed, growth
        self._adding = threading.Lock()
        self._current = Batch()
        self._mine = threading.local()

    @contextlib.contextmanager
    def acknowledged(self) -> Iterator[None]:
        """Left once all that this thread has added inside is committed, also by an exception.

        Raises:
            StoreError: some of it could not be kept.
        """
        mine: list[Batch] = []
        self._mine.batches = mine
        try:
            yield
        except BaseException:
            with contextlib.suppress(StoreError):
                self._settle_all(mine)
            raise
        finally:
            self._mine.batches = None
        self._settle_all(mine)

    def add(self, change: Change) -> None:
        """Have a change carried out: before this returns, or, inside ``acknowledged``, before that is left.

        Raises:
            StoreError: it, or one before it inside of ``acknowledged``, could not be kept.
        """
        with self._adding:
            batch = self._current
            batch.changes.append(change)
        mine: list[Batch] | None = getattr(self._mine, "batches", None)
        if mine is None:
            self.settle(batch)
        else:
            self._note(mine, batch)

    def now(self, change: Change) -> None:
        """Have a change carried out before this returns. Raises ``StoreError`` if it was not."""
        with self._adding:
            batch = self._current
            batch.changes.append(change)
        self.settle(batch)

    def settle(self, batch: Batch) -> None:
        """Returns once the batch is committed. Raises ``StoreError`` if it is not going to be."""
        if not batch.done:
            with self._database.writing:
                if not batch.done:  # then it is the current one: they are carried out one after the other
                    with self._adding:
                        self._current = Batch()
                    self._carry_out(batch)
        batch.check()

    def pending(self) -> None:
        """Carry out what is not yet, whether it can be kept or not: its owners learn of that."""
        batch = self._current
        if batch.changes:
            with contextlib.suppress(StoreError):
                self.settle(batch)

    def _note(self, mine: list[Batch], batch: Batch) -> None:
        if not mine or mine[-1] is not batch:
            for earlier in mine:
                earlier.check()
            mine[:] = [*(earlier for earlier in mine if not earlier.done), batch]
        if batch.is_ripe:
            self.settle(batch)

    def _settle_all(self, mine: list[Batch]) -> None:
        for batch in mine:
            self.settle(batch)

    def _carry_out(self, batch: Batch) -> None:
        writer = self._database.writer
        try:
            before = self._begin()
            for change in batch.changes:
                if self._growth and self._database.used - before > self._growth:
                    self._commit()
                    before = self._begin()
                change()
            self._commit()
        except BaseException as error:
            batch.error = error
            self._take_back(writer)
            if not isinstance(error, sqlite3.Error):
                raise
            words = "the collector's store cannot be written, agents are told to try again: %s"
            note(words, error, extra=fields("store_failed", error=str(error)))
        finally:
            batch.done = True
            batch.changes.clear()

    def _begin(self) -> int:
        """The bytes that the data take before the transaction."""
        self._database.writer.execute("BEGIN IMMEDIATE")
        return self._database.used

    def _commit(self) -> None:
        self._finish()
        self._database.writer.execute("COMMIT")

    def _take_back(self, writer: sqlite3.Connection) -> None:
        with contextlib.suppress(sqlite3.Error):
            if writer.in_transaction:
                writer.execute("ROLLBACK")
        with contextlib.suppress(sqlite3.Error):
            self._failed()
