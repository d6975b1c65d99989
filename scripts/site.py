"""What the site does that MkDocs does not by itself: a hook, named by mkdocs.yml.

Links lead to files of the tree, so that they work where the tree is shown. Of those the site has only docs/: any other
link becomes its text. Two pages of the site are files that stand beside docs/.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BESIDE = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""What a page stands for: a file of the tree's root, if it is there."""

_OUT = re.compile(r"(?<!!)\[([^\]]+)\]\((?:\.\./)+(?!docs/)[^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:|#)([^)]+)\)")


def beside(text: str) -> str:
    """A file of the root, as a page of docs/: links into docs/ lead on, others become their text."""
    return _LINK.sub(
        lambda link: f"[{link[1]}]({link[2][5:]})" if link[2].startswith("docs/") else link[1],
        text,
    )


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page, as the site has it."""
    source = ROOT / BESIDE.get(page.file.src_uri, "/")
    return beside(source.read_text(encoding="utf-8")) if source.is_file() else _OUT.sub(r"\1", markdown)
