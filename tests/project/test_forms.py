"""The forms of issues and pull requests, and what CONTRIBUTING.md promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATES = ROOT / ".github" / "ISSUE_TEMPLATE"
FORMS = sorted(path for path in TEMPLATES.glob("*.yml") if path.name != "config.yml")
TYPES = {"checkboxes", "dropdown", "input", "markdown", "textarea"}

COMMAND = re.compile(r"(?:`|^\$ )make ([a-z][a-z-]+)", re.MULTILINE)
TARGET = re.compile(r"^([a-z][a-z-]+):", re.MULTILINE)


def read(path: Path) -> dict[str, Any]:
    """A file of YAML."""
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def test_there_is_a_form_for_what_is_wrong_and_for_what_is_missing() -> None:
    assert [path.stem for path in FORMS] == ["bug", "feature"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_has_what_github_asks_of_it(path: Path) -> None:
    form = read(path)
    assert form.keys() <= {"name", "description", "title", "labels", "body", "assignees", "projects", "type"}
    assert all(isinstance(form[key], str) for key in ("name", "description"))
    assert form["name"]
    assert form["description"]
    assert all(isinstance(label, str) for label in form["labels"])
    assert form["body"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_each_field_of_a_form_is_complete(path: Path) -> None:
    fields = [field for field in read(path)["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(ids) == len(set(ids))
    for field in fields:
        assert field["type"] in TYPES
        assert re.fullmatch(r"[\w-]+", field["id"])
        assert field["attributes"]["label"]
        assert isinstance(field["validations"]["required"], bool)
    assert any(field["validations"]["required"] for field in fields)


def test_the_chooser_is_configured() -> None:
    config = read(TEMPLATES / "config.yml")
    assert isinstance(config["blank_issues_enabled"], bool)
    assert all({"name", "url", "about"} <= link.keys() for link in config["contact_links"])


@pytest.mark.parametrize("path", ["CONTRIBUTING.md", ".github/pull_request_template.md"])
def test_commands_that_are_named_exist(path: str) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    named = set(COMMAND.findall((ROOT / path).read_text()))
    assert named
    assert named <= targets
