"""How soon the page shows each of its states where a million snapshots are kept: ``python -m bench.collector_page``.

Exit status 1 where a state usually takes longer than it may.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

from bench.collector_load import SERVICE, WITH_A_MILLION, collector, fill
from tests.page.browser import Visitor, launched, visiting
from tests.page.site import Profiled, Site
from tests.page.states import STATES, Opening, services

#: One click or address away from another; ``frame`` and ``refused`` are several steps.
SHOWN = ("services", "service", "form", "task", "profile", "part", "difference")
#: A process profiles at most so many requests of a task.
REQUESTS = 9


def shows(visitor: Visitor, site: Site, found: Profiled, opening: Opening) -> float:
    """Ms from the list of services to another state, or from an empty page to that list."""
    if opening is services:
        visitor.page.goto("about:blank")
    else:
        services(visitor, site, found)
        visitor.page.wait_for_timeout(200)
    begun = time.perf_counter()
    opening(visitor, site, found)
    return (time.perf_counter() - begun) * 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 1 if one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--snapshots", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=7, help="that each state is shown")
    parser.add_argument("--limit", type=float, default=WITH_A_MILLION, help="ms that a state may usually take")
    options = parser.parse_args(arguments)
    missed = []
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "page.db"
        task, segments, now = fill(file, options.snapshots)
        with collector(file) as (client, backend), sync_playwright() as playwright:
            site = Site(client.url.removesuffix("graphql"), backend)
            found = Profiled(SERVICE, task, segments[:REQUESTS], now)
            with launched(playwright.chromium) as browser, visiting(browser, site.page) as visitor:
                for name in SHOWN:
                    took = [shows(visitor, site, found, STATES[name]) for _ in range(options.times)]
                    print(f"page: {name:<12} median {statistics.median(took):6.1f} ms, slowest {max(took):6.1f} ms")
                    missed += [name] if statistics.median(took) > options.limit else []
    print(f"missed: {', '.join(missed)}" if missed else "all within what is asked for")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
