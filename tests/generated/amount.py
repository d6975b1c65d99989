"""How many cases property-based tests run: few in ``make test``, and the same ones each time; more on demand.

``SWPROF_CASES=10 pytest tests/test_differential*.py tests/test_hostile*.py`` runs so many times as many, and other ones
each time. ``make test-hostile`` does so.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: So many times as many cases as in ``make test``.
FACTOR = int(os.environ.get("SWPROF_CASES", "1"))

#: How many cases have passed in this process, by test.
passed: dict[str, int] = {}


def cases(count: int) -> Callable[[Any], Any]:
    """A decorator of a property-based test: it runs ``count`` cases, or ``FACTOR`` times as many."""
    amount = settings(
        max_examples=count * FACTOR,
        deadline=None,
        database=None,
        derandomize=FACTOR == 1,
        # The agent of a fixture serves all cases: that state is left over from earlier ones is part of the test.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )

    def decorated(test: Any) -> Any:
        name = f"{test.__module__}.{test.__name__}"

        @functools.wraps(test)
        def counted(*args: Any, **kwargs: Any) -> None:
            test(*args, **kwargs)
            passed[name] = passed.get(name, 0) + 1

        return amount(counted)

    return decorated


def mixed(*weighted: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """One of several strategies, each as often as its weight says: ``one_of`` takes them all equally often."""
    strategies = [strategy for weight, strategy in weighted for _ in range(weight)]
    return st.sampled_from(range(len(strategies))).flatmap(strategies.__getitem__)
