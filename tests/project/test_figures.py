"""The script of the figures measures what it says, and fails where a bar is missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.figures import Figure, figures, main

WELL = '''"""A module."""


def told(number: int) -> int:
    """The next one."""
    return number + 1
'''

TWICE = "".join(f"    value{number} = number * {number}\n" for number in range(8))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A package of one module that keeps every bar, and as much of tests."""
    for directory in ("package", "tests"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "well.py").write_text(WELL)
    return tmp_path


def measured(tree: Path, **modules: str) -> dict[str, Figure]:
    """The figures of the package with some more modules in it, by their names."""
    for name, text in modules.items():
        (tree / "package" / f"{name}.py").write_text(text)
    return {figure.name: figure for figure in figures(tree / "package", tree / "tests")}


def missed(tree: Path, **modules: str) -> dict[str, tuple[str, ...]]:
    """Where which bars are missed, as ``FILE:LINE``."""
    every = measured(tree, **modules).values()
    return {each.name: tuple(Path(place).name for place in each.places) for each in every if each.is_missed}


def test_what_is_well_misses_nothing(tree: Path) -> None:
    assert not missed(tree)


def test_long_modules_and_functions(tree: Path) -> None:
    (tree / "tests" / "more.py").write_text("\n" * 1000)
    long = '"""Long."""\n\n\ndef _long() -> None:\n' + "    print()\n" * 300
    found = missed(tree, long=long)
    assert found["lines of a module, longest"] == ("long.py:1",)
    assert found["lines of a function, longest"] == ("long.py:4",)
    assert measured(tree)["lines of a module, longest"].value == 304
    assert measured(tree)["lines of a function, longest"].value == 301


def test_what_is_just_at_the_bar_is_well(tree: Path) -> None:
    (tree / "tests" / "more.py").write_text("\n" * 1000)
    function = "def _long() -> None:\n" + "    print()\n" * 39
    found = missed(tree, edge='"""Edge."""\n' + function + "\n" * (300 - 41))
    assert not {name for name in found if name.endswith("longest")}


@pytest.mark.parametrize(
    ("signature", "count"),
    [
        ("def _f(a, b: int, *c, d, **e): pass", 5),
        ("async def _f(a: int) : pass", 1),
        ("class _A:\n    def f(self, a) -> None: pass", 1),
        ("class _A:\n    def f(self, a: int) -> None: pass", 0),
        ("def _f() -> None:\n    def inner(a): pass", 2),
    ],
)
def test_what_has_no_annotation(tree: Path, signature: str, count: int) -> None:
    figure = measured(tree, bare=f'"""Bare."""\n{signature}\n')["arguments and results without an annotation"]
    assert figure.value == count


def test_what_has_no_docstring(tree: Path) -> None:
    bare = "def shown() -> None:\n    def inner() -> None: pass\n\n\nclass Shown:\n    def method(self) -> None: pass\n"
    private = "def _hidden() -> None: pass\n\n\nclass _Hidden:\n    def method(self) -> None: pass\n"
    found = missed(tree, bare=bare, private=f'"""Private."""\n{private}')
    assert found["modules and public names without a docstring"] == ("bare.py:1", "bare.py:1", "bare.py:5", "bare.py:6")


def test_what_stands_twice(tree: Path) -> None:
    one, two = (f'"""{name}."""\n\n\ndef _{name}(number: int) -> None:\n{TWICE}' for name in ("one", "two"))
    assert missed(tree, one=one, two=two)["lines that stand twice, in runs of 6"] == ("one.py:5", "two.py:5")


def test_comments_and_silenced_warnings(tree: Path) -> None:
    silenced = '"""Silenced."""\nimport os  # noqa: F401\nx: int = ""  # type: ignore[assignment]\n# nothing\n'
    found = missed(tree, silenced=silenced)
    assert found["comment lines, of a hundred"] == ()
    assert found["warnings silenced, in a thousand lines"] == ("silenced.py:2", "silenced.py:3")


def test_handlers_of_any_exception(tree: Path) -> None:
    handlers = ("ValueError", "Exception", "BaseException", "")
    text = '"""Handlers."""\n' + "".join(f"try:\n    pass\nexcept {each}:\n    pass\n" for each in handlers)
    figure = measured(tree, handlers=text)["handlers of any exception, of a hundred handlers"]
    assert figure.value == 75
    assert figure.is_missed


def test_too_few_tests(tree: Path) -> None:
    (tree / "tests" / "well.py").write_text("")
    assert missed(tree) == {"lines of tests for a line of code": ()}


def test_a_missed_bar_is_marked_and_its_places_are_listed(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(tree / "package"), "--tests", str(tree / "tests")]
    assert main(arguments) == 0
    assert "MISSED" not in capsys.readouterr().out
    (tree / "package" / "bare.py").write_text("")
    assert main(arguments) == 1
    said = capsys.readouterr().out
    [line] = [line for line in said.splitlines() if line.endswith("MISSED")]
    assert " ".join(line.split()) == "modules and public names without a docstring 1 at most 0 MISSED"
    assert said.endswith(f"\nmodules and public names without a docstring:\n  {tree / 'package' / 'bare.py'}:1\n")
