"""The file format of speedscope (https://www.speedscope.app/file-format-schema.json): JSON, one profile a request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from swprof_mw import __version__
from swprof_mw.export.frame import Frame, frame
from swprof_mw.export.profile import Profile, Stack
from swprof_mw.export.visible import visible

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def encode(profiles: Sequence[Profile]) -> bytes:
    """The profiles as ASCII JSON, weights in ms. Stacks stand in the order of the trees: when each was is not known."""
    frames: dict[Frame, int] = {}
    shown = [_profile(profile, frames) for profile in profiles]
    document = {
        "$schema": SCHEMA,
        "exporter": f"swprof_mw {__version__}",
        "name": shown[0]["name"] if len(shown) == 1 else f"{len(shown)} requests",
        "activeProfileIndex": 0,
        "shared": {"frames": [_frame(one) for one in frames]},
        "profiles": shown,
    }
    return json.dumps(document).encode()


def _profile(profile: Profile, frames: dict[Frame, int]) -> dict[str, Any]:
    """One profile; ``frames`` gets those that are new, each with its index."""
    timed = [stack for stack in profile.stacks if stack.duration]
    return {
        "type": "sampled",
        "name": visible(profile.name),
        "unit": "milliseconds",
        "startValue": 0,
        "endValue": profile.analysed,
        "samples": [_sample(stack, frames) for stack in timed],
        "weights": [stack.duration for stack in timed],
    }


def _sample(stack: Stack, frames: dict[Frame, int]) -> list[int]:
    return [frames.setdefault(frame(text), len(frames)) for text in stack.code_signatures]


def _frame(one: Frame) -> dict[str, Any]:
    return {"name": one.function, **({"file": one.file, "line": one.line} if one.file else {})}
