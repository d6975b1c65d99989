"""The figures that the package's code is held to, and which of them are missed: ``make check``."""

from __future__ import annotations

import argparse
import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

#: So many equal lines in a row, without comments, docstrings, imports and signatures, stand there twice.
RUN = 6
_TWICE = re.compile(r"^TOTAL lines=\d+ duplicates=(\d+)", re.MULTILINE)
_PLACE = re.compile(r"^==(\S+):\[(\d+):(\d+)\]$", re.MULTILINE)
_SILENCED = re.compile(r"#.*\b(noqa|type: ignore)\b")
_BROAD = (None, "Exception", "BaseException")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef | ast.Module


class Figure(NamedTuple):
    """One line of the table.

    Attributes:
        name: what is measured.
        value: what was found.
        bar: what it must not exceed; or, with ``at_least``, not fall below.
        places: where to look if the bar is missed, as ``PATH:LINE``.
        at_least: whether more is better.
    """

    name: str
    value: float
    bar: float
    places: tuple[str, ...] = ()
    at_least: bool = False

    @property
    def is_missed(self) -> bool:
        """Whether the bar is."""
        return self.value < self.bar if self.at_least else self.value > self.bar

    def __str__(self) -> str:
        bar = f"at {'least' if self.at_least else 'most'} {self.bar:g}"
        return f"{self.name:<58} {self.value:>8.4g}   {bar:<14}{'  MISSED' if self.is_missed else ''}".rstrip()


class Source:
    """One module.

    Args:
        path: its file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = path.read_text(encoding="utf-8").splitlines()
        self.tree = ast.parse("\n".join(self.lines))

    def place(self, line: int) -> str:
        """A line of it, for a person to go to."""
        return f"{self.path}:{line}"

    def functions(self) -> Iterator[Function]:
        """All of them: methods and inner ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def public(self, node: Documented | None = None) -> Iterator[Documented]:
        """The module, and what it shows: functions and classes, and their methods in turn, without an underscore."""
        node = node or self.tree
        yield node
        for child in node.body if not isinstance(node, Function) else ():
            if isinstance(child, Function | ast.ClassDef) and not child.name.startswith("_"):
                yield from self.public(child)


def sources(package: Path) -> list[Source]:
    """The modules below a directory."""
    return [Source(path) for path in sorted(package.rglob("*.py"))]


def module_lengths(modules: list[Source]) -> Iterator[Figure]:
    """How long modules are."""
    found = {module.place(1): len(module.lines) for module in modules}
    yield Figure("lines of a module, median", statistics.median(found.values()), 100)
    yield _longest("lines of a module, longest", found, 300)


def function_lengths(modules: list[Source]) -> Iterator[Figure]:
    """How long functions are, from ``def`` to the last line, with the docstring."""
    every = ((module, each) for module in modules for each in module.functions())
    found = {module.place(each.lineno): (each.end_lineno or each.lineno) - each.lineno + 1 for module, each in every}
    yield Figure("lines of a function, median", statistics.median(found.values()), 8)
    yield _longest("lines of a function, longest", found, 40)


def _longest(name: str, lengths: dict[str, int], bar: int) -> Figure:
    return Figure(name, max(lengths.values()), bar, tuple(place for place, each in lengths.items() if each > bar))


def unannotated(modules: list[Source]) -> Iterator[Figure]:
    """Arguments and results whose type is not told."""
    places = [module.place(each.lineno) for module in modules for each in module.functions() for _ in _bare(each)]
    yield _none_of("arguments and results without an annotation", places)


def _bare(function: Function) -> Iterator[str]:
    told = function.args
    every = [*told.posonlyargs, *told.args, *told.kwonlyargs, *filter(None, (told.vararg, told.kwarg))]
    for number, argument in enumerate(every):
        if argument.annotation is None and not (number == 0 and argument.arg in ("self", "cls", "mcs")):
            yield argument.arg
    if function.returns is None:
        yield "return"


def undocumented(modules: list[Source]) -> Iterator[Figure]:
    """What is public and does not say what it is."""
    every = ((module, each) for module in modules for each in module.public())
    places = [module.place(getattr(each, "lineno", 1)) for module, each in every if not ast.get_docstring(each)]
    yield _none_of("modules and public names without a docstring", places)


def _none_of(name: str, places: Iterable[str]) -> Figure:
    found = tuple(places)
    return Figure(name, len(found), 0, found)


def comments(modules: list[Source]) -> Iterator[Figure]:
    """Comments, which say why and are few; and those that switch a tool off."""
    lines = [(module.place(at), line.strip()) for module in modules for at, line in enumerate(module.lines, 1)]
    filled = sum(bool(line) for _, line in lines)
    plain = sum(line.startswith("#") for _, line in lines)
    silenced = [place for place, line in lines if _SILENCED.search(line)]
    yield Figure("comment lines, of a hundred", 100 * plain / filled, 10)
    yield Figure("warnings silenced, in a thousand lines", 1000 * len(silenced) / filled, 4, tuple(silenced))


def handlers(modules: list[Source]) -> Iterator[Figure]:
    """Handlers that take any exception: an agent in somebody's app needs some, and no more than that."""
    every = [(m, node) for m in modules for node in ast.walk(m.tree) if isinstance(node, ast.ExceptHandler)]
    broad = [module.place(node.lineno) for module, node in every if _caught(node) in _BROAD]
    share = 100 * len(broad) / len(every) if every else 0
    yield Figure("handlers of any exception, of a hundred handlers", share, 30, tuple(broad))


def _caught(handler: ast.ExceptHandler) -> str | None:
    return ast.unparse(handler.type) if handler.type else None


def duplicates(modules: list[Source]) -> Iterator[Figure]:
    """Lines that stand in two modules, in runs of `RUN` and more."""
    symilar = Path(sys.executable).with_name("symilar")
    ignored = ("--ignore-comments", "--ignore-docstrings", "--ignore-imports", "--ignore-signatures")
    command = [str(symilar), f"--duplicates={RUN - 1}", *ignored, *(str(module.path) for module in modules)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    total = _TWICE.search(told)
    if total is None:
        raise RuntimeError(f"symilar says something new:\n{told}")
    places = tuple(f"{path}:{int(begin) + 1}" for path, begin, _ in _PLACE.findall(told))
    yield Figure(f"lines that stand twice, in runs of {RUN}", int(total[1]), 0, places)


def tests(modules: list[Source], directory: Path) -> Iterator[Figure]:
    """How much there is of tests."""
    code, tested = (sum(len(each.lines) for each in some) for some in (modules, sources(directory)))
    yield Figure("lines of tests for a line of code", tested / code, 1, at_least=True)


def figures(package: Path, tested_by: Path) -> list[Figure]:
    """All of them, in the order of the table."""
    modules = sources(package)
    kinds = (module_lengths, function_lengths, unannotated, undocumented, duplicates, comments, handlers)
    return [*(figure for kind in kinds for figure in kind(modules)), *tests(modules, tested_by)]


def main(arguments: list[str] | None = None) -> int:
    """Print the table and, below it, where each missed bar is missed; 1 if any is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, nargs="?", default=ROOT / "swprof_mw")
    parser.add_argument("--tests", type=Path, default=ROOT / "tests")
    chosen = parser.parse_args(arguments)
    found = figures(chosen.package, chosen.tests)
    print(*found, sep="\n")
    missed = [figure for figure in found if figure.is_missed]
    for figure in missed:
        print(f"\n{figure.name}:", *figure.places, sep="\n  ")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
