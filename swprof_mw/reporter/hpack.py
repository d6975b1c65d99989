"""Header fields on an HTTP/2 connection (RFC 7541), as far as a gRPC client needs them: without a dynamic table."""

from __future__ import annotations

from collections.abc import Iterable

#: What the static table has that a gRPC answer may refer to. Other entries of it mean nothing to us.
_STATIC = {8 + number: (":status", str(status)) for number, status in enumerate((200, 204, 206, 304, 400, 404, 500))}
_STATIC_LENGTH = 61
#: The characters by the bits of their Huffman codes. Codes are counted up through the lengths, in the order here;
#: control characters and those above ASCII, whose codes are longer, do not occur in what we read.
_LENGTHS = {
    5: "012aceiost",
    6: " %-./3456789=A_bdfghlmnpru",
    7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: "&*,;XZ",
    10: '!"()?',
    11: "'+|",
    12: "#>",
    13: "\0$@[]~",
    14: "^}",
    15: "<`{",
    19: "\\",
}
_UNKNOWN = "?"


class HeaderError(ValueError):
    """A header block that is not as RFC 7541 has it, or needs a dynamic table."""


def encode(fields: Iterable[tuple[str, str]]) -> bytes:
    """A header block; each field, ASCII, stands in it as it is, and is remembered by nobody."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)


def decode(block: bytes) -> list[tuple[str, str]]:
    """The fields of a header block, in their order. Those of the static table that no gRPC answer needs are left out.

    Raises:
        HeaderError: it cannot be read.
    """
    found: list[tuple[str, str]] = []
    at = 0
    try:
        while at < len(block):
            kind = block[at]
            if kind & 0x80:
                index, at = _integer(block, at, 7)
                found.append(_static(index))
            elif kind & 0xE0 == 0x20:
                _, at = _integer(block, at, 5)  # the size of a table that we do not have
            else:
                index, at = _integer(block, at, 6 if kind & 0x40 else 4)
                name, at = (_static(index)[0], at) if index else _text(block, at)
                value, at = _text(block, at)
                found.append((name, value))
    except IndexError:
        raise HeaderError("a header block ends too early") from None
    return [(name, value) for name, value in found if name]


def _static(index: int) -> tuple[str, str]:
    if not 1 <= index <= _STATIC_LENGTH:
        raise HeaderError(f"no entry of the static table has the number {index}")
    return _STATIC.get(index, ("", ""))


def _string(text: str) -> bytes:
    data = text.encode("ascii", "replace")
    length = len(data)
    if length < 0x7F:
        return bytes((length,)) + data
    size, rest = bytearray((0x7F,)), length - 0x7F
    while rest > 0x7F:
        size.append(rest & 0x7F | 0x80)
        rest >>= 7
    size.append(rest)
    return bytes(size) + data


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """A number whose first ``bits`` bits are in the byte at ``at``, and where it ends."""
    most = (1 << bits) - 1
    number, shift = block[at] & most, 0
    at += 1
    if number < most:
        return number, at
    while True:
        number += (block[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not block[at - 1] & 0x80:
            return number, at
        if shift > 28:
            raise HeaderError("a number in a header block is too large")


def _text(block: bytes, at: int) -> tuple[str, int]:
    packed = bool(block[at] & 0x80)
    length, at = _integer(block, at, 7)
    end = at + length
    if end > len(block):
        raise HeaderError("a header block ends too early")
    data = block[at:end]
    return (_unpacked(data) if packed else data.decode("latin-1")), end


def _codes() -> dict[tuple[int, int], str]:
    """Characters by the length of their code and the code."""
    codes: dict[tuple[int, int], str] = {}
    code = last = 0
    for length, characters in _LENGTHS.items():
        code <<= length - last
        last = length
        for character in characters:
            codes[length, code] = character
            code += 1
    return codes


_CODES = _codes()
_LONGEST = max(_LENGTHS)


def _unpacked(data: bytes) -> str:
    """Huffman coded text; from a character on that we do not know, only a question mark."""
    found: list[str] = []
    code = length = 0
    for byte in data:
        for shift in range(7, -1, -1):
            code = code << 1 | byte >> shift & 1
            length += 1
            character = _CODES.get((length, code))
            if character is not None:
                found.append(character)
                code = length = 0
            elif length > _LONGEST:
                return "".join(found) + _UNKNOWN
    return "".join(found)
