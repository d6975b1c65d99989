"""The map of the rooms (docs/rooms.md) is true to the contract (.importlinter), and both to the imports."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import grimp
import pytest
from importlinter import api

ROOT = Path(__file__).resolve().parent.parent.parent
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
PACKAGE = "swprof_mw"


class Room(NamedTuple):
    """A row of the table."""

    name: str
    modules: frozenset[str]
    purpose: str
    imports: frozenset[str]


def rooms() -> list[Room]:
    """The table, from the top down."""
    lines = (ROOT / "docs" / "rooms.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [
        Room(name, frozenset(re.findall(r"`(\w+)`", modules)), purpose, frozenset(filter(None, imports.split(", "))))
        for name, modules, purpose, imports in rows[2:]
    ]


def layers() -> list[frozenset[str]]:
    """The contract's layers, from the top down."""
    contracts = api.read_configuration(str(ROOT / ".importlinter"))["contracts_options"]
    [contract] = [each for each in contracts if each["type"] == "layers"]
    return [frozenset(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    """The contract held against the package in a directory."""
    command = [str(LINT_IMPORTS), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A directory with the package and its contract."""
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_every_module_is_in_one_room_that_says_what_it_is_for() -> None:
    named = [module for room in rooms() for module in room.modules]
    here = {path.stem for path in (ROOT / PACKAGE).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(named) == sorted(here - {"__init__"})
    assert all(len(room.purpose) > 20 for room in rooms())


def test_the_rooms_are_the_layers_of_the_contract_in_its_order() -> None:
    left = rooms()
    for layer in layers():
        taken: frozenset[str] = frozenset()
        while taken < layer:
            taken |= left.pop(0).modules
        assert taken == layer
    assert not left


def test_a_room_imports_the_rooms_that_the_map_says_and_no_other() -> None:
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    room_of = {f"{PACKAGE}.{module}": room.name for room in rooms() for module in room.modules}
    found: dict[str, set[str]] = {room.name: set() for room in rooms()}
    for module in graph.modules - {PACKAGE}:
        importer = ".".join(module.split(".")[:2])
        for imported in graph.find_modules_directly_imported_by(module) - {PACKAGE}:
            found[room_of[importer]].add(room_of[".".join(imported.split(".")[:2])])
    assert {name: others - {name} for name, others in found.items()} == {room.name: room.imports for room in rooms()}


def test_the_contract_is_kept(copied: Path) -> None:
    result = lint(copied)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("reporter/queues.py", "from swprof_mw.application import Application"),
        ("reporter/queues.py", "import swprof_mw.profiling.task"),
        ("span.py", "import swprof_mw.wsgi.entry"),
        ("flask/hooks.py", "import swprof_mw.django.site"),
        ("names.py", "import swprof_mw.config"),
        ("export/pprof.py", "import swprof_mw.span"),
        ("collector/server.py", "import swprof_mw.reporter.reporter"),
        ("application.py", "import flask"),
        ("reporter/plain.py", "import grpc"),
    ],
)
def test_a_wrong_import_breaks_the_contract(copied: Path, module: str, line: str) -> None:
    with (copied / PACKAGE / module).open("a") as source:
        source.write(f"\n{line}\n")
    result = lint(copied)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout


def test_a_new_module_has_to_be_given_a_room(copied: Path) -> None:
    (copied / PACKAGE / "attic.py").write_text('"""Nobody has said where this belongs."""\n')
    result = lint(copied)
    assert result.returncode == 1
    assert "attic" in result.stdout + result.stderr
