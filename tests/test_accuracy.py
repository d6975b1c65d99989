"""Every server, framework and style of code, on every Python that is here: the request and only the request is shown.

One request is profiled at a time, with four others beside it. It takes about ten minutes: ``make test-accuracy``.
"""

from __future__ import annotations

import pytest

from bench.accuracy import ROUNDS, gaps, lies, run
from bench.cases import CASES, Case
from bench.environments import PYTHONS, available


@pytest.mark.accuracy
@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("version", PYTHONS)
def test_a_profile_shows_the_request_and_only_the_request(version: str, case: Case) -> None:
    assert version in available(), f"no Python {version} on this machine"
    found = []
    for _ in range(ROUNDS):
        [measured] = run(version, case)
        assert not lies(measured), measured
        found.append(gaps(measured))
        if not found[-1]:
            return
    pytest.fail(f"in each round something is missing: {found}")
