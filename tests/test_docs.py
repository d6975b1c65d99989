"""What the docs say is so: each block of code in them is run or checked, and what they point at is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import site
from swprof_mw.config import SETTINGS
from tests import official, snippets, test_frameworks, test_tracing
from tests.docs import compose, configuration, deployment, outputs, programs, readme, start
from tests.docs.commands import shown, taken_apart, typed
from tests.docs.session import Session
from tests.environments import python_3_11
from tests.oap.server import OapServer
from tests.snippets import DOCS, PAGES, ROOT, Snippet

pytestmark = pytest.mark.docs

BLOCKS = [snippet for page in PAGES for snippet in snippets.of(page)]

TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=snippets.name_of)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    for file, name in TEST.findall(page.read_text()):
        source = ROOT / "tests" / file
        assert source.exists(), f"{page.name} names {file}"
        assert re.search(rf"^(async )?def {name}\(", source.read_text(), re.MULTILINE), f"{page.name}: {file}::{name}"


@pytest.mark.parametrize("page", PAGES, ids=snippets.name_of)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize(
    ("text", "source", "page", "shown"),
    [
        ("[a](../b.md#c)", "docs/start/x.md", "docs/start/x.md", "[a](../b.md#c)"),
        ("[a](../examples/b.py)", "docs/x.md", "docs/x.md", "a"),
        ("[a](../../examples/)", "docs/start/x.md", "docs/start/x.md", "a"),
        ("[a](docs/start/b.md) [c](README.md)", "CHANGELOG.md", "docs/changelog.md", "[a](start/b.md) c"),
        ("[a](https://b) [c](#d) ![e](f.png)", "docs/x.md", "docs/x.md", "[a](https://b) [c](#d) ![e](f.png)"),
    ],
)
def test_links_out_of_the_docs_are_text_in_the_site(text: str, source: str, page: str, shown: str) -> None:
    assert site.for_site(text, source, page) == shown


def test_long_names_may_go_on_in_the_next_line() -> None:
    assert site.on_post_page("<td><code>SW_AGENT_NAME</code> a_b") == "<td><code>SW_<wbr>AGENT_<wbr>NAME</code> a_b"


# Each block of code.


@pytest.mark.parametrize("page", PAGES, ids=snippets.name_of)
def test_no_block_of_a_page_is_overlooked(page: Path) -> None:
    """One that is indented, or fenced in another way, would not be found."""
    assert snippets.fences(page) == 2 * len(list(snippets.of(page)))


def check_console(block: Snippet) -> None:
    """Each command is one that its program takes; each line of its output is what it could print."""
    assert typed(block.code)
    for line in typed(block.code):
        for command in taken_apart(line):
            programs.check(command)
    for line in shown(block.code):
        outputs.check_line(line)


def check_python(block: Snippet) -> None:
    """It is one of those that another test runs; else it runs here, by itself."""
    elsewhere: dict[str, set[str]] = {
        "frameworks.md": {
            code for recipe in test_frameworks.RECIPES for code in test_frameworks.files(recipe).values()
        },
        "tracing.md": {recipe.code for recipe in test_tracing.RECIPES},
        "deployment.md": {recipe.file[1] for recipe in deployment.recipes() if recipe.file},
        "README.md": {code.code for code in README},
        **{page: {code for choice in start.choices(page) for code in choice.files.values()} for page in start.PAGES},
    }
    if block.code not in elsewhere.get(block.page, ()):
        done = subprocess.run([sys.executable, "-c", block.code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


CHECKS: dict[str, Callable[[Snippet], None]] = {
    "": outputs.check,
    "console": check_console,
    "dockerfile": configuration.check_dockerfile,
    "ini": configuration.check_ini,
    "python": check_python,
    "yaml": configuration.check_compose,
}
README = [block for block in BLOCKS if block.page == "README.md" and block.language == "python"]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_of_code_is_run_or_checked(block: Snippet) -> None:
    assert block.language in CHECKS, f"{block}: nobody knows how to check {block.language}"
    CHECKS[block.language](block)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("console", "$ swprof profile --service shop\n"),
        ("console", "$ swprof collect\n"),
        ("console", "$ pip install 'swprof-mw[bottle]'\n"),
        ("console", "$ SW_AGENT_NAMES=shop swprof check\n"),
        ("console", "$ export SWPROF_TRACE_REPORT=some\n"),
        ("console", "$ make nothing\n"),
        ("console", "$ gunicorn --wokers 2 shop:app\n"),
        ("console", "$ sqlite3 profiles.db\n"),
        ("console", "$ swprof check | jq .nothing\n"),
        ("console", '$ curl -d \'{"query": "{versions}"}\' http://host:12800/graphql\n'),
        ("console", "$ docker compose start\n"),
        ("console", "$ docker compose exec app swprof check\n"),
        ("console", "$ swprof check\nall is well\n"),
        ("console", "nothing is typed\n"),
        ("python", "import swprof_mw.nothing\n"),
        ("", "100.0 %  311 ms  shop.py.compute_prices: 1\n"),
        ("ini", "[uwsgi]\nenable-threads = true\n"),
        ("yaml", "services: {}\n"),
        ("dockerfile", "FROM scratch\n"),
    ],
)
def test_a_block_that_is_wrong_is_found(language: str, code: str) -> None:
    with pytest.raises(AssertionError):
        CHECKS[language](Snippet("page.md", 1, "", language, "", code))


@pytest.mark.parametrize("block", README, ids=str)
def test_the_readme_s_lines_are_all_that_an_app_needs(block: Snippet, tmp_path: Path) -> None:
    readme.check(block, tmp_path)


# Whole pages.


@pytest.mark.parametrize(
    "choice",
    [choice for page in start.PAGES for choice in start.choices(page)],
    ids=lambda choice: f"{choice.page}-{start.program(choice.server)}",
)
def test_a_page_leads_to_a_first_profile(choice: start.Choice, tmp_path: Path) -> None:
    start.check(start.follow(choice, tmp_path), choice)


@pytest.mark.parametrize("recipe", list(deployment.recipes()), ids=lambda recipe: recipe.line)
def test_an_app_is_profiled_under_each_server_as_the_page_starts_it(recipe: deployment.Recipe, tmp_path: Path) -> None:
    deployment.check(recipe, tmp_path)


def test_the_example_with_skywalking_is_the_app_of_the_first_page() -> None:
    assert (compose.DIRECTORY / "shop.py").read_text() == snippets.of_page("start/flask.md")[0].code


def test_the_example_has_the_oap_that_is_tested() -> None:
    tested = re.search(r"<oap\.version>(.+?)</", (ROOT / "tests" / "oap" / "pom.xml").read_text())
    assert tested
    tags = {name: service["image"].split(":")[1] for name, service in compose.services().items() if "image" in service}
    assert tags["oap"] == tags["ui"] == tested[1]
    told = (DOCS / "start" / "skywalking.md").read_text()
    assert f"OAP {tested[1]} takes BanyanDB {tags['banyandb'].rpartition('.')[0]};" in told


@pytest.mark.oap
def test_skywalking_profiles_the_example(tmp_path: Path) -> None:
    """All but the images: the app as its container runs it, checked and profiled by what the page says, over an OAP."""
    (tmp_path / "shop.py").write_text((compose.DIRECTORY / "shop.py").read_text())
    lines = start.lines("start/skywalking.md")
    [check] = [line.partition("exec shop ")[2] for line in lines if "exec shop" in line]
    [orders] = [line for line in lines if line.startswith("while ")]
    [profile] = [line for line in lines if line.startswith("swprof profile")]
    with OapServer() as oap, Session(tmp_path, (oap.grpc_port, oap.http_port)) as session:
        assert "nothing is wrong" in session.run(check)
        session.keep_running(" ".join(compose.command_of_the_image()).replace("0.0.0.0", "127.0.0.1"), 8000)
        start.step(session, orders)
        printed = session.run(profile)
    start.check(printed, next(start.choices("start/flask.md")))


# What the official agent has, beside ours.


if python_3_11() or os.environ.get("CI"):

    def test_the_official_agent_s_settings_are_those_of_its_page() -> None:
        """Each of its variables is there once, and is the setting that the page names, or none of ours."""
        page = (DOCS / "moving.md").read_text().partition("\n## Settings\n")[2]
        ours = {variable: name for name, setting in SETTINGS.items() for variable in setting.environment}
        same = dict(re.findall(r"^\| `(SW_\w+)` \| `(\w+)` \|", page, re.MULTILINE))
        assert same == {variable: name for variable, name in ours.items() if variable in same}
        named = re.findall(r"`(SW_[A-Z0-9_]+)`", page)
        assert sorted(named) == sorted(theirs())
        assert not (set(named) - same.keys()) & ours.keys()


def theirs() -> set[str]:
    """The variables that the official agent reads, but for the example in its own notes."""
    code = "import importlib.util; print(importlib.util.find_spec('skywalking').submodule_search_locations[0])"
    found = subprocess.run([official.interpreter(), "-c", code], capture_output=True, text=True, check=True)
    source = (Path(found.stdout.strip()) / "config.py").read_text()
    return set(re.findall(r"getenv\(\s*'(SW_\w+)'", source)) - {"SW_AGENT_ACTUAL_OPTION"}
