"""Collapsed stacks, for FlameGraph, speedscope, inferno and others: ``outermost;…;innermost MILLISECONDS`` a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from swprof_mw.export.frame import NAMELESS
from swprof_mw.export.profile import Profile
from swprof_mw.export.visible import visible


def encode(profiles: Sequence[Profile]) -> bytes:
    """All profiles together, UTF-8; equal stacks are one line, and those without time none."""
    time: Counter[str] = Counter()
    for profile in profiles:
        for stack in profile.stacks:
            time[";".join(map(_name, stack.code_signatures))] += stack.duration
    return "".join(f"{names} {duration}\n" for names, duration in time.items() if duration).encode()


def _name(code_signature: str) -> str:
    """The format has no escape for its separator; FlameGraph's own converters write a colon."""
    return visible(code_signature).replace(";", ":").strip() or NAMELESS
