"""The current request, as the app's own code asks for it."""

from __future__ import annotations

from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import EntrySpan

#: Whether the app has ever asked, and there was none: it may have been one of those that have no span.
asked = False


def current_span() -> EntrySpan | None:
    """The request that the calling code is part of.

    None outside of one, and of one that has no span, since it was not going to be reported: once somebody has asked for
    it, the following ones have.
    """
    global asked
    span = current_request.get()
    if isinstance(span, EntrySpan):
        return span
    asked = True
    return None
