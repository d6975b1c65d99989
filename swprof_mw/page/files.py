"""The page's static files. They are read once, at the start: no request's path ever gets to the disk."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

STATIC = Path(__file__).resolve().parent / "static"
INDEX = "index.html"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
}
"""Content types by suffix; files of no other are served."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")


@dataclass(frozen=True)
class File:
    """What is served under one path."""

    content: bytes
    content_type: str
    etag: str

    def response(self, request: Request) -> Response:
        """The file, or 304 if the browser has it; it asks each time, so that an update of the package shows."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache"}
        if self._is_known(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers | {"Content-Type": self.content_type})

    def _is_known(self, given: str) -> bool:
        tags = [tag.strip().removeprefix("W/") for tag in given.split(",")]
        return self.etag in tags or tags == ["*"]


def load(directory: Path = STATIC) -> Mapping[str, File]:
    """The files of ``directory`` and those below, by the path of their URL; ``index.html`` is ``/``.

    A link that leads out of the directory is left out, as is a hidden file.
    """
    root = (directory / INDEX).resolve().parent  # an installer may have linked every single file into its cache
    found = {path.relative_to(directory).as_posix(): path for path in sorted(directory.rglob("*"))}
    return {
        "/" if name == INDEX else f"/{name}": _file(path)
        for name, path in found.items()
        if path.is_file() and path.resolve() == root / name and path.suffix in TYPES and _is_plain(name)
    }


def _is_plain(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and "/." not in name


def _file(path: Path) -> File:
    content = path.read_bytes()
    return File(content, TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
