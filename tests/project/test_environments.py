"""Environments that tests make are kept, and made anew where they run no more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import environments


def test_one_is_kept_until_its_interpreter_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def run(*command: str) -> None:
        if "venv" in command:
            made.append(Path(command[-1]))
            (made[-1] / "bin").mkdir(parents=True)
            (made[-1] / "bin" / "python").symlink_to(elsewhere)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    monkeypatch.setattr(environments, "CACHE", tmp_path)
    monkeypatch.setattr(environments, "_run", run)
    interpreter = environments.environment("some", sys.executable, "thing")
    assert environments.environment("some", sys.executable, "thing") == interpreter
    assert len(made) == 1
    elsewhere.unlink()
    assert environments.environment("some", sys.executable, "thing") == interpreter
    assert made == [interpreter.parent.parent] * 2
