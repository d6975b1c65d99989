"""The header ``sw8``: how a trace goes on from one process to the next."""

from __future__ import annotations

import base64
import binascii

from swprof_mw.records import Reference

_FIELDS = 8
#: Longer than any valid header: eight names of bounded length, in base64.
_LONGEST = 4096


def parse(header: str) -> Reference | None:
    """The caller's span in the value of an ``sw8`` header; None for any value that is not valid.

    ``1-TRACEID-SEGMENTID-SPANID-SERVICE-INSTANCE-ENDPOINT-ADDRESS``: the first field is 0 or 1, the fourth a decimal
    number, the others base64 of UTF-8. Never raises.
    """
    fields = header.split("-") if len(header) <= _LONGEST else []
    if len(fields) != _FIELDS or fields[0] not in ("0", "1") or not _decimal(fields[3]):
        return None
    try:
        trace, segment, service, instance, endpoint, address = (
            base64.b64decode(field, validate=True).decode() for field in (*fields[1:3], *fields[4:])
        )
    except (binascii.Error, ValueError):
        return None
    if not trace or not segment:
        return None
    return Reference(trace, segment, int(fields[3]), service, instance, endpoint, address)


def header(reference: Reference) -> str | None:
    """The value of an ``sw8`` header that ``parse`` reads as ``reference``; None if it would be too long for it.

    A lone surrogate, which UTF-8 does not have, becomes a question mark.
    """
    ids, names = reference[:2], reference[3:]
    fields = ("1", *map(_encoded, ids), str(reference.span_id), *map(_encoded, names))
    value = "-".join(fields)
    return value if len(value) <= _LONGEST else None


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")


def _decimal(field: str) -> bool:
    """Whether the field is a span's number: digits that fit the protocol's int32."""
    return field.isascii() and field.isdigit() and len(field) <= 10 and int(field) < 2**31
