"""The pages that lead to a first profile: what their reader may choose, and does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from swprof_mw.query.client import OapClient
from tests import snippets
from tests.docs import trees
from tests.docs.commands import taken_apart, typed
from tests.docs.programs import SERVERS
from tests.docs.session import APP, QUERIES, Session
from tests.waiting import eventually

PAGES = ["start/flask.md", "start/django.md", "start/fastapi.md"]


class Choice(NamedTuple):
    """One way through a page.

    Attributes:
        page: its name.
        files: of the app, by their names.
        server: the line that starts it.
    """

    page: str
    files: dict[str, str]
    server: str


def choices(page: str) -> Iterator[Choice]:
    """Where a page has a file twice, or two servers, its reader takes one of them."""
    named: dict[str, list[str]] = {}
    for snippet in snippets.of_page(page):
        named.setdefault(snippet.file, []).append(snippet.code)
    apps = [dict(zip(named, codes, strict=True)) for codes in itertools.product(*named.values())]
    servers = [line for line in lines(page) if program(line) in SERVERS]
    for files, server in itertools.product(apps, servers):
        yield Choice(page, files, server)


def lines(page: str) -> list[str]:
    """All that is typed."""
    return [line for snippet in snippets.of_page(page, "console") for line in typed(snippet.code)]


def program(line: str) -> str:
    """What a line runs first."""
    return next(taken_apart(line)).program


def tree(page: str) -> str:
    """The profile that the page shows."""
    [shown] = snippets.of_page(page, "")
    return shown.code


def follow(choice: Choice, directory: Path) -> str:
    """Do all that the page says, with one app and one server; what is printed in the end.

    Done again where the one request that is sampled is not seen at work: a machine that is busy with others may keep
    the sampler from a processor as long as that takes.
    """
    printed = follow_once(choice, directory)
    return printed if functions(printed, choice) else follow_once(choice, directory)


def follow_once(choice: Choice, directory: Path) -> str:
    """As `follow`."""
    for name, code in choice.files.items():
        (directory / name).write_text(code)
    printed = ""
    with Session(directory) as session:
        for line in lines(choice.page):
            if program(line) not in SERVERS or line == choice.server:
                printed = step(session, line)
    return printed


def step(session: Session, line: str) -> str:
    """One line; what it prints, if it comes to an end."""
    first = next(taken_apart(line))
    if first.program in SERVERS:
        session.keep_running(line, APP)
    elif line == "swprof collector":
        session.keep_running(line, QUERIES)
    elif line.startswith("while "):
        session.keep_running(line)
        asked = OapClient(session.here("http://127.0.0.1:12800"))
        eventually(lambda: "shop" in asked.services() and asked.endpoints("shop"), "an endpoint is listed")
    elif first.program != "pip":
        return session.run(line)
    return ""


def check(printed: str, choice: Choice) -> None:
    """What was printed shows the app's functions that the page shows, and waiting where it does."""
    shown = tree(choice.page)
    assert shown.split()[:3] == printed.split()[:3], "method, endpoint and status"
    trees.check(printed, choice.files)
    for one in (shown, printed):
        assert "[waiting]" in trees.texts(one)
    assert functions(shown, choice) <= functions(printed, choice)


def functions(text: str, choice: Choice) -> set[tuple[str, str]]:
    """The app's own that a tree names."""
    return {(frame.file, frame.function) for frame in trees.frames(text) if frame.file in choice.files}
