"""What keeps the collector from starting, or from keeping what it is sent."""

from __future__ import annotations


class CollectorError(RuntimeError):
    """The collector could not be started; the text says why."""


class StoreError(CollectorError):
    """The store cannot be opened, or cannot keep what it was given; the text says why."""
