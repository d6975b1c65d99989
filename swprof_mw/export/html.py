"""A report to hand on: one HTML file with flame graph and tree table, which asks no network for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from swprof_mw import __version__
from swprof_mw.export.profile import Profile
from swprof_mw.export.visible import visible

SCRIPT = Path(__file__).with_name("report.js")
STYLE = Path(__file__).resolve().parent.parent / "page" / "static" / "page.css"
"""The script is made of the page's own modules by ``scripts/vendor.py``, the style is the page's."""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><span class="home">Profile</span><p id="about">swprof_mw {version}</p></header>
<main id="main" tabindex="-1"><p>This report needs JavaScript.</p></main>
<script type="application/json" id="profiles">{content}</script>
<script>{script}</script>
</body>
</html>
"""


def encode(profiles: Sequence[Profile]) -> bytes:
    """The report as UTF-8. Whatever a name holds is shown as text: names are in JSON, without a ``<``."""
    script, style = _text(SCRIPT), _text(STYLE)
    name = profiles[0].name if len(profiles) == 1 else f"{len(profiles)} requests"
    page = _PAGE.format(
        policy=_policy(script, style),
        title=escape(visible(name)),
        style=style,
        version=escape(__version__),
        content=json.dumps(_content(profiles), separators=(",", ":")).replace("<", "\\u003c"),
        script=script,
    )
    return page.encode()


def _content(profiles: Sequence[Profile]) -> dict[str, Any]:
    frames: dict[str, int] = {}
    shown = [
        {
            "name": visible(profile.name),
            "duration": profile.duration,
            "stacks": [
                [[frames.setdefault(text, len(frames)) for text in stack.code_signatures], stack.duration, stack.count]
                for stack in profile.stacks
            ],
        }
        for profile in profiles
    ]
    return {"frames": list(frames), "profiles": shown}


def _policy(script: str, style: str) -> str:
    """Only these two run and apply, and nothing is loaded."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
