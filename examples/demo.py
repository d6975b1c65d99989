"""Profile the three example apps through the embedded collector, and print where their time goes: ``make demo``.

For each app: start it under its server, visit its pages, and let ``swprof profile`` profile the slow one
while somebody keeps ordering. Exit status 1 if one of them shows no tree.

With ``DEMO_KEEP=1`` the page stays open until Ctrl-C, with the apps running and visited now and then.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from swprof_mw.cli.main import main as command
from swprof_mw.cli.serving import told_to_stop
from swprof_mw.collector.server import Collector
from swprof_mw.query.client import OapClient
from tests.examples import EXAMPLES, Example, Orders, running, show_endpoints

PAUSE = 2.0
"""Seconds between two orders while the page stays open: three apps, and whoever looks at them, share the machine."""


def profile(example: Example, collector: Collector) -> bool:
    """Whether a request of the example's slow endpoint was profiled; its tree is printed."""
    print(f"\n=== {example.target} under {example.server}: {example.endpoint}\n", flush=True)
    with running(example, collector.backend) as server:
        show_endpoints(example, server, OapClient(collector.url))
        with Orders(server):
            arguments = ["--service", example.service, "--endpoint", example.endpoint, "--oap", collector.url]
            return command(["profile", *arguments, "--samples", "1", "--settle", "1"]) == 0


def keep(examples: Sequence[Example], collector: Collector) -> None:
    """Let the apps run until SIGINT or SIGTERM."""
    with told_to_stop() as wait, contextlib.ExitStack() as apps:
        for example in examples:
            server = apps.enter_context(running(example, collector.backend))
            apps.enter_context(Orders(server, PAUSE))
        print(f"page: {collector.page} stays open until Ctrl-C, and the apps run on", flush=True)
        wait()


def main(examples: Sequence[Example] = EXAMPLES) -> int:
    """0 if each example was profiled, else 1."""
    with Collector(grpc_port=0, http_port=0) as collector:
        print(f"collector: agents report to {collector.backend}, GraphQL is at {collector.url}/graphql")
        shown = [profile(example, collector) for example in examples]
        print(f"\n{sum(shown)} of {len(shown)} example apps profiled")
        if os.environ.get("DEMO_KEEP", "0") not in ("", "0"):
            keep(examples, collector)
        else:
            print(f"page: {collector.page} closes now, with DEMO_KEEP=1 it stays open")
    return 0 if all(shown) else 1


if __name__ == "__main__":
    sys.exit(main())
