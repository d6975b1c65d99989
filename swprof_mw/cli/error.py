"""What ends a command."""

from __future__ import annotations


class CommandError(Exception):
    """Something a person has to know, in one line; the command ends with status 2."""
