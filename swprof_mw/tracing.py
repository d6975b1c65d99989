"""The trace of the current request, for the app's log lines and for the calls that it makes."""

from __future__ import annotations

import os

from swprof_mw.current import current_span
from swprof_mw.failures import guarded
from swprof_mw.names import cut
from swprof_mw.propagation import header
from swprof_mw.span import EntrySpan

_PEER_LENGTH = 200


def trace_id() -> str:
    """The id of the trace that the calling code's request belongs to, as SkyWalking shows it; outside of one: empty.

    Code that a request has left running, with its context, still belongs to its trace. Never raises.

    A caller chooses the id of a trace that it begins: what does not print comes as an escape (``\\n``), so that a log
    line stays one.
    """
    return _trace_id() or ""


def sw8(peer: str) -> str | None:
    """The value of the header ``sw8`` for a call that the current request makes: the trace goes on in who answers it.

    None outside of a request, or if it would be longer than anybody reads: then send no such header. Never raises.

    Args:
        peer: the address that is called, ``HOST:PORT``.
    """
    return _sw8(peer)


@guarded("telling the trace")
def _trace_id() -> str:
    span = _span()
    found = span.trace_id if span is not None else ""
    return found if found.isprintable() else found.encode("unicode_escape").decode()


@guarded("continuing the trace")
def _sw8(peer: str) -> str | None:
    span = _span()
    return header(span.as_caller._replace(address=cut(peer, _PEER_LENGTH))) if span is not None else None


def _span() -> EntrySpan | None:
    """The request that the calling code is part of; one that this process was forked from is none of its own."""
    span = current_span()
    return span if span is not None and span.process_id == os.getpid() else None
