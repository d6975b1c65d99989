"""What this package logs, as data: each record says by ``swprof_event`` what happened, and has fields for the rest.

They are promised to stay, unlike the sentences; docs/logging.md lists them.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("swprof_mw")


def fields(event: str, **more: object) -> dict[str, object]:
    """For a call's ``extra``: the record's event, and its fields, each called ``swprof_NAME`` there."""
    return {"swprof_event": event, **{f"swprof_{name}": value for name, value in more.items()}}


def off(reason: str) -> None:
    """Log why requests pass without us."""
    logger.error("swprof_mw is off: %s", reason, extra=fields("off", reason=reason))
