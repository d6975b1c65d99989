"""What the site does that MkDocs does not by itself: a hook, named by mkdocs.yml.

Links lead to files of the tree, so that they work where the tree is shown. Of those the site has only docs/: any other
link becomes its text. Two pages of the site are files that stand beside docs/. Long names break where a reader would.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BESIDE = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""What a page stands for: a file of the tree's root, if it is there."""

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:|#)([^)#]+)(#[^)]*)?\)")

_NAME = re.compile(r"(?<=<code>)\w+_\w+(?=</code>)")


def for_site(text: str, source: str, page: str) -> str:
    """The text of a file as that of a page, with its links into docs/; others become their text.

    Args:
        text: in Markdown.
        source: the file, below the root of the tree.
        page: the page that it is, likewise.
    """

    def link(found: re.Match[str]) -> str:
        target = os.path.normpath(os.path.join(os.path.dirname(source), found[2]))
        if not target.startswith("docs" + os.sep):
            return found[1]
        return f"[{found[1]}]({os.path.relpath(target, os.path.dirname(page))}{found[3] or ''})"

    return _LINK.sub(link, text)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page, as the site has it."""
    name: str = page.file.src_uri
    beside = ROOT / BESIDE.get(name, "")
    if beside.is_file():
        return for_site(beside.read_text(encoding="utf-8"), beside.name, f"docs/{name}")
    return for_site(markdown, f"docs/{name}", f"docs/{name}")


def on_post_page(output: str, **_: Any) -> str:
    """The whole page: a name in a narrow column may go on in the next line after a `_`."""
    return _NAME.sub(lambda name: name[0].replace("_", "_<wbr>"), output)
