"""The example that runs SkyWalking by ``docker compose``."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.snippets import ROOT

DIRECTORY = ROOT / "examples" / "skywalking"
FILE = DIRECTORY / "compose.yaml"
DOCKERFILE = DIRECTORY / "Dockerfile"


def services() -> dict[str, Any]:
    """What it runs, by name."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return found


def command_of_the_image() -> list[str]:
    """What the app's container runs."""
    found: list[str] = json.loads(DOCKERFILE.read_text().rpartition("\nCMD ")[2])
    return found
