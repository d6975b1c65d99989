"""Times and sizes as people write them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping

_TIMES = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_QUANTITY = re.compile(r"(\d{1,12})([A-Za-z]+)")


def milliseconds(text: str) -> int:
    """A time like ``90s``, ``30m``, ``12h`` or ``7d``, or ``0``, in ms. Raises argparse's error for anything else."""
    return _read(text, _TIMES)


def size(text: str) -> int:
    """A size like ``500MB`` or ``2GiB`` in bytes. Raises argparse's error for anything else."""
    return _read(text, _SIZES)


def _read(text: str, units: Mapping[str, int]) -> int:
    if text == "0":
        return 0
    found = _QUANTITY.fullmatch(text)
    if found is None or found[2] not in units:
        raise argparse.ArgumentTypeError(f"not a number with one of {', '.join(units)}: {text!r}")
    return int(found[1]) * units[found[2]]
