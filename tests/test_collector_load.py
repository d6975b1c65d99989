"""``make collector-load``, scaled down: what it asks for holds, and it fails where something is missed."""

from __future__ import annotations

import re

import pytest

from bench import collector_load

pytestmark = [pytest.mark.alone, pytest.mark.costs]


def test_two_thousand_snapshots_a_second_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """Of twenty agents for ten seconds, while the page's queries are answered."""
    assert collector_load.main(["load", "--seconds", "10"]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert "load: 20000 of 20000 snapshots in 10 s" in said
    behind = re.search(r"agents at most ([\d.]+) s behind", said)
    assert behind
    assert float(behind[1]) < 2.0


def test_queries_over_many_snapshots_and_large_profiles_are_answered_in_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert collector_load.main(["million", "profile", "--snapshots", "50000"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("part", "bar", "value"),
    [
        ("load", "RATE", 2_020),  # more are sent than each of the twenty does
        ("load", "UNDER_LOAD", 0.0),
        ("million", "WITH_A_MILLION", 0.0),
        ("profile", "ANALYSIS", 0.0),
    ],
)
def test_what_is_missed_is_said_and_fails(
    part: str, bar: str, value: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(collector_load, bar, value)
    assert collector_load.main([part, "--seconds", "1", "--snapshots", "4000"]) == 1
    assert capsys.readouterr().out.endswith(f"missed: {part}\n")
