"""The settings that are the sampler's."""

from __future__ import annotations

from dataclasses import dataclass

_NS_PER_SECOND = 1_000_000_000
_NS_PER_MINUTE = 60 * _NS_PER_SECOND


@dataclass(frozen=True)
class SamplerSettings:
    """What a sampler is told.

    Attributes:
        max_parallel: slots.
        max_depth: code signatures of a snapshot.
        max_duration: of the sampling of one request, ns.
        switch_interval: of the interpreter while a slot is taken, ms; 0: leave it.
        max_cpu: of the sampler's thread, percent of a core.
        mark_waiting: whether snapshots of a waiting request say so.
        code_signature: ``short`` or ``full``.
    """

    max_parallel: int = 5
    max_depth: int = 500
    max_duration: int = 10 * _NS_PER_MINUTE
    switch_interval: float = 0.5
    max_cpu: float = 5.0
    mark_waiting: bool = True
    code_signature: str = "short"
