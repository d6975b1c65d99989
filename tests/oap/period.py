"""Periods to ask a real OAP for, at any time of the day."""

from __future__ import annotations

import time


def days(since: float) -> dict[str, str]:
    """The day of ``since`` (seconds since the epoch) and the next, as a ``Duration``.

    Days, since OAP's store looks, of a period by the hour, minute or second, into the days that follow its start by
    24 hours each: of one from 23:50 to 00:10 it finds nothing that came after midnight.
    """
    start, end = (time.strftime("%Y-%m-%d", time.localtime(since + day * 86_400)) for day in (0, 1))
    return {"start": start, "end": end, "step": "DAY"}
