"""Exports open in the tools they are for, hostile names too: speedscope's own importer, and Go's pprof."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from swprof_mw.export.formats import FORMATS
from swprof_mw.export.profile import Profile
from tests.test_export import HOSTILE, STACKS, profile
from tests.tools.installed import IMPORTER, output, pprof, speedscope

pytestmark = [pytest.mark.tools, pytest.mark.timeout(700)]

TAME = Profile("GET /e", 1_700_000_000_000, 120, STACKS, (("trace", "abc"),))


def written(directory: Path, form: str, *profiles: Profile) -> Path:
    """A file with the profiles."""
    target = directory / f"profile.{form}"
    target.write_bytes(FORMATS[form](profiles))
    return target


def imported(file: Path) -> Any:
    """The profiles that speedscope finds in a file; None if it knows no such format."""
    return json.loads(output("node", IMPORTER, speedscope(), file))


def test_speedscope_reads_its_own_format(tmp_path: Path) -> None:
    one, other = imported(written(tmp_path, "speedscope", TAME, profile(*HOSTILE)))
    assert (one["name"], one["total"], one["weights"]) == ("GET /e", 100, [30, 60, 10])
    assert {"name": "work", "file": "app.py", "line": 9} in one["frames"]
    assert other["total"] == 7 * len(HOSTILE)


@pytest.mark.parametrize("form", ["collapsed", "pprof"])
def test_speedscope_reads_the_other_formats(tmp_path: Path, form: str) -> None:
    (one,) = imported(written(tmp_path, form, TAME, profile(*HOSTILE)))
    assert one["total"] == 100 + 7 * len(HOSTILE)


def test_pprof_reads_its_format(tmp_path: Path) -> None:
    file = written(tmp_path, "pprof", TAME)
    top = output(pprof(), "-top", file)
    assert re.search(r"Duration: 120ms, Total samples = 100ms", top)
    assert re.search(r" 60ms 60\.00% +60\.00% +60ms 60\.00%  work\n", top)
    raw = output(pprof(), "-raw", file)
    assert "time/milliseconds[dflt] samples/count" in raw
    assert re.search(r" 60 +7: 3 1 2 *\n", raw)
    assert "3: 0x0 M=1 work app.py:9:0" in raw
    assert "trace:[abc]" in raw


def test_pprof_reads_hostile_names(tmp_path: Path) -> None:
    file = written(tmp_path, "pprof", profile(*HOSTILE))
    assert f"{7 * len(HOSTILE)}ms" in output(pprof(), "-top", file)
    assert output(pprof(), "-raw", file).count("trace:[t") == len(HOSTILE)
