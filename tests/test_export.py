"""Profiles as files for other tools: what stands in them, and ``swprof export``."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from swprof_mw.cli.main import main
from swprof_mw.collector.server import Collector
from swprof_mw.export.formats import FORMATS
from swprof_mw.export.frame import Frame, frame
from swprof_mw.export.profile import Profile, Stack, stacks
from swprof_mw.query.client import Element, OapClient
from tests.test_collector import Agent

TREE = [
    Element(1, 0, "/e", 100, 0, 11),
    Element(2, 1, "app.py.view: 1", 100, 30, 11),
    Element(3, 2, "app.py.work: 9", 60, 60, 7),
    Element(4, 2, "[waiting]", 10, 10, 1),
]
STACKS = (
    Stack(("/e", "app.py.view: 1"), 30, 3),
    Stack(("/e", "app.py.view: 1", "app.py.work: 9"), 60, 7),
    Stack(("/e", "app.py.view: 1", "[waiting]"), 10, 1),
)
HOSTILE = [
    "a\nb 5",
    "a;b",
    "n\0ul",
    "\u202etxt",
    "x" * 10_000,
    "\ud800",
    "",
    " ",
    "\x1b[31m",
    "a.py.\udfff: 3",
    "\u2028",
]


def profile(*names: str) -> Profile:
    """A request of 7 ms a name, all of them on one stack."""
    return Profile("GET /e\n", 1_000, 10, tuple(Stack((name, *names), 7, 1) for name in names), (("trace", "t\ud800"),))


def read_collapsed(content: bytes) -> list[tuple[list[str], int]]:
    """What a tool that knows the format only reads, line by line."""
    text = content.decode()
    assert not text or text.endswith("\n")
    rows = [line.rpartition(" ") for line in text.split("\n")[:-1]]
    return [(names.split(";"), int(weight)) for names, _, weight in rows]


def test_stacks_of_a_tree() -> None:
    assert stacks([TREE]) == STACKS
    assert stacks([list(reversed(TREE))])[0] == STACKS[0]
    assert Profile("", 0, 0, STACKS).analysed == TREE[0].duration
    assert stacks([]) == ()


def test_what_ended_nowhere_is_left_out_and_nothing_is_negative() -> None:
    rows = [Element(1, 0, "a", 5, 0, 1), Element(2, 1, "b", 6, -1, 2), Element(3, 2, "c", 7, 7, 2)]
    assert stacks([rows]) == (Stack(("a", "b", "c"), 7, 2),)


def test_deep_trees() -> None:
    deep = [Element(n, n - 1, f"app.py.f: {n}", 5, 5 if n == 3000 else 0, 1) for n in range(1, 3001)]
    (stack,) = stacks([deep])
    assert (len(stack.code_signatures), stack.duration) == (3000, 5)


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("shop/views.py.Cart.<locals>.add: 12", Frame("Cart.<locals>.add", "shop/views.py", 12)),
        ("a.py.d/x.py.<lambda>: 7", Frame("<lambda>", "a.py.d/x.py", 7)),
        ("<frozen runpy>._run_code: 88", Frame("_run_code", "<frozen runpy>", 88)),
        ("bin/gunicorn.<module>: 8", Frame("<module>", "bin/gunicorn", 8)),
        ("pages/a.html.root: 3", Frame("root", "pages/a.html", 3)),
        ("/articles/<year>/", Frame("/articles/<year>/")),
        ("[waiting]", Frame("[waiting]")),
        ("", Frame("(no name)")),
        ("a\n.py.f: 1", Frame("f", "a\\n.py", 1)),
    ],
)
def test_frames(signature: str, expected: Frame) -> None:
    assert frame(signature) == expected


def test_collapsed() -> None:
    both = [Profile("one", 0, 0, STACKS), Profile("two", 0, 0, STACKS[:1])]
    assert FORMATS["collapsed"](both).decode().splitlines() == [
        "/e;app.py.view: 1 60",
        "/e;app.py.view: 1;app.py.work: 9 60",
        "/e;app.py.view: 1;[waiting] 10",
    ]


def test_speedscope() -> None:
    document = json.loads(FORMATS["speedscope"]([Profile("GET /e", 0, 120, STACKS)]))
    assert document["shared"]["frames"] == [
        {"name": "/e"},
        {"name": "view", "file": "app.py", "line": 1},
        {"name": "work", "file": "app.py", "line": 9},
        {"name": "[waiting]"},
    ]
    assert document["profiles"] == [
        {
            "type": "sampled",
            "name": "GET /e",
            "unit": "milliseconds",
            "startValue": 0,
            "endValue": 100,
            "samples": [[0, 1], [0, 1, 2], [0, 1, 3]],
            "weights": [30, 60, 10],
        }
    ]


def test_pprof_starts_with_its_value_types() -> None:
    content = gzip.decompress(FORMATS["pprof"]([Profile("GET /e", 0, 120, STACKS)]))
    assert content.startswith(b"\x0a\x04\x08\x01\x10\x02\x0a\x04\x08\x03\x10\x04")
    assert b"2\x04time2\x0cmilliseconds2\x07samples2\x05count" in content


def test_hostile_names_break_no_format() -> None:
    made = profile(*HOSTILE)
    lines = read_collapsed(FORMATS["collapsed"]([made]))
    assert sum(weight for _, weight in lines) == made.analysed
    assert all(len(names) == len(HOSTILE) + 1 and all(names) for names, _ in lines)
    document = json.loads(FORMATS["speedscope"]([made]))
    assert all(one["name"].isprintable() for one in document["shared"]["frames"])
    assert FORMATS["pprof"]([made])


# The command


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector(0, 0) as started:
        yield started


@pytest.fixture
def profiled(collector: Collector) -> tuple[str, str]:
    """The ids of a task and of the segment that it has profiled."""
    with grpc.insecure_channel(collector.backend) as channel:
        agent = Agent(channel)
        agent.request(0, 1)
        task = OapClient(collector.url).create_task("shop", "/e")
        start = int(agent.commands()[0]["StartTime"])
        segment = agent.request(start, start + 100)
        rows = [["/e", "app.py.view: 1"]] * 3 + [["/e", "app.py.view: 1", "app.py.work: 9"]] * 8
        agent.snapshots(task, segment, [(n, start + n * 10, stack) for n, stack in enumerate(rows)])
    return task, segment


def test_export(
    collector: Collector, profiled: tuple[str, str], capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    task, segment = profiled
    expected = b"/e;app.py.view: 1 30\n/e;app.py.view: 1;app.py.work: 9 70\n"
    for which in (["--task", task], ["--segment", segment]):
        assert main(["export", "--oap", collector.url, *which, "--format", "collapsed"]) == 0
        assert capsysbinary.readouterr().out == expected
    target = tmp_path / "profile.json"
    assert main(["export", "--oap", collector.url, "--task", task, "-o", str(target)]) == 0
    assert json.loads(target.read_bytes())["profiles"][0]["endValue"] == 100
    assert main(["export", "--oap", collector.url, "--task", task, "-o", str(tmp_path)]) == 2
    assert b"cannot write" in capsysbinary.readouterr().err


def test_what_there_is_to_export(
    collector: Collector, profiled: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--oap", collector.url, "--service", "shop"]) == 0
    assert capsys.readouterr().out.startswith(profiled[0] + "  20")
    assert main(["export", "--oap", collector.url, "--service", "none"]) == 1
    assert main(["export", "--oap", collector.url, "--segment", "none"]) == 1
    assert capsys.readouterr().out == ""
