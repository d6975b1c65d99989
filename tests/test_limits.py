"""The limits that we set ourselves: nothing at all where we are off, a share of a core, the GIL never for long."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import asdict, fields
from pathlib import Path
from types import FrameType

import pytest

import swprof_mw
from swprof_mw.application import Application
from swprof_mw.config import Config
from swprof_mw.profiling import budget
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.profiling.sampler import Sampler
from swprof_mw.records import Segment, Snapshot
from swprof_mw.reporter.reporter import Reporter
from swprof_mw.statistics import Queue
from tests.doubles import MS, Sampled, begin, end, sampling, wait_until
from tests.faulty import Backend
from tests.recorded import Recorded
from tests.servers import collector

ROOT = Path(__file__).resolve().parent.parent

# Off is off

#: What each adapter is given, and the line that says whether the app is as it was.
OFF = {
    "flask keyword": """
        from swprof_mw.flask import SWProfiler
        before = app.wsgi_app
        app.wsgi_app = SWProfiler(app, service_name="shop", enabled=False)
        print(app.wsgi_app == before, "swprof" in app.extensions, bool(flask.request_started.receivers))
    """,
    "flask environment": """
        from swprof_mw.flask import SWProfiler
        os.environ["SWPROF_ENABLED"] = "off"
        before = app.wsgi_app
        SWProfiler(service_name="shop").init_app(app)
        print(app.wsgi_app == before, "swprof" in app.extensions, bool(flask.request_started.receivers))
    """,
    "asgi keyword": """
        from swprof_mw.asgi import SWProfilerMiddleware
        print(SWProfilerMiddleware(site, enabled=False) is site, False, False)
    """,
    "asgi added": """
        from swprof_mw.asgi import SWProfilerMiddleware
        os.environ["SWPROF_ENABLED"] = "0"
        site.add_middleware(SWProfilerMiddleware, service_name="shop")
        layers, layer = [], site.build_middleware_stack()
        while layer is not None:
            layers.append(type(layer).__name__)
            layer = getattr(layer, "app", None)
        print("SWProfilerMiddleware" not in layers, False, False)
    """,
    "django": """
        settings.SWPROF = {"service_name": "shop", "enabled": False}
        from django.core.handlers.wsgi import WSGIHandler
        from django.core.signals import got_request_exception
        handler = WSGIHandler()
        print("swprof" not in repr(handler._middleware_chain), False, bool(got_request_exception.receivers))
        from tests.wsgi_client import ask
        print(ask(handler, "/hello/").status)
    """,
}

SITES = """
import os, sys, threading, warnings

def look():
    heavy = [name for name in ("grpc", "google.protobuf", "swprof_mw.agent", "swprof_mw.reporter.reporter")
             if name in sys.modules]
    return len(os.listdir("/proc/self/task")), heavy, sys.getswitchinterval()

import asyncio, flask
app = flask.Flask("shop")
app.route("/")(lambda: "here")

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def here(request):
    return PlainTextResponse("here")

site = Starlette(routes=[Route("/", here)])

import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
settings.configure(
    ROOT_URLCONF="__main__", MIDDLEWARE=["swprof_mw.django.SWProfilerMiddleware"], ALLOWED_HOSTS=["*"], DEBUG=False
)
django.setup()
urlpatterns = [path("hello/", lambda request: HttpResponse("here"))]
"""
ASKED = """
from tests import asgi_driver
for _ in range(3):
    assert app.test_client().get("/").text == "here"
    assert asgi_driver.call(site, asgi_driver.http("/")).body == b"here"
print(look())
"""


def run(*parts: str, timeout: float = 60) -> list[str]:
    """Run these pieces of a script in an interpreter of their own; the lines that it prints."""
    code = "\n".join(textwrap.dedent(part) for part in parts)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("how", OFF)
def test_switched_off_nothing_at_all_happens(how: str) -> None:
    first, *rest = run(SITES, OFF[how], ASKED)
    assert first == "True False False"
    assert rest == ["200 OK"] * (how == "django") + ["(1, [], 0.005)"]


def test_switched_off_by_the_framework_s_settings_requests_pass() -> None:
    """They are read at the first request: the wrapper is there by then, and has to let all of them pass.

    It has imported the agent, for the first request not to wait; nothing has started, and no grpc is there.
    """
    late = """
        from swprof_mw.flask import SWProfiler
        app.wsgi_app = SWProfiler(app)
        app.config["SWPROF"] = {"enabled": False}
    """
    assert run(SITES, late, ASKED) == ["(1, ['swprof_mw.agent', 'swprof_mw.reporter.reporter'], 0.005)"]


# A share of a core


class Crowd:
    """An event loop on a thread of its own, with so many tasks that wait, and one request that is sampled.

    Args:
        sampled: the sampler.
        tasks: how many.
        own: whether the request has made them.
    """

    def __init__(self, sampled: Sampled, tasks: int, own: bool) -> None:
        self._context = sampled.context()
        self._tasks, self._own = tasks, own
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    async def _main(self) -> None:
        forever = asyncio.Event()
        span = begin(self._context) if self._own else None
        if span is not None:
            current_request.set(span)
        waiting = [asyncio.create_task(self._wait(forever)) for _ in range(self._tasks)]
        await asyncio.sleep(0.05)
        span = span or begin(self._context)
        span.enter_task(sys._getframe(), asyncio.current_task(), asyncio.get_running_loop())
        while not self._stop.is_set():
            await asyncio.sleep(0.005)
        end(span)
        forever.set()
        await asyncio.gather(*waiting)

    async def _wait(self, event: asyncio.Event) -> None:
        await event.wait()

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def clock_of_the_sampler() -> int:
    """The processor clock of the thread that samples."""
    for thread_id, top in sys._current_frames().items():
        frame: FrameType | None = top
        while frame is not None:
            if frame.f_code is Sampler._run.__code__:
                return time.pthread_getcpuclockid(thread_id)
            frame = frame.f_back
    raise AssertionError("nothing samples")


def share_over(seconds: float, clock: int) -> float:
    """The part of a core that a thread uses for so long."""
    began, used = time.monotonic(), time.clock_gettime(clock)
    time.sleep(seconds)
    return (time.clock_gettime(clock) - used) / (time.monotonic() - began)


@pytest.mark.costs
@pytest.mark.alone
@pytest.mark.parametrize("own", [False, True], ids=["of others", "of the request"])
def test_with_twenty_thousand_tasks_the_sampler_keeps_to_its_share(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "WINDOW", 200 * MS)
    with sampling(max_cpu=5.0) as sampled, Crowd(sampled, 20_000, own):
        wait_until(lambda: sampled.snapshots)
        clock = clock_of_the_sampler()
        shares, stretches = [share_over(1.0, clock)], [sampled.sampler._budget.stretch]
        while shares[-1] > 0.05:
            assert len(shares) < 30, shares
            shares.append(share_over(1.0, clock))
            # Each time: a period that was too long becomes shorter again.
            stretches.append(sampled.sampler._budget.stretch)
        stretched = max(stretches) > 1
        # What was not used before may be used later, up to two seconds' worth.
        assert stretched or sum(shares) <= 0.05 * (len(shares) + 2), shares
        # It goes on, if more slowly.
        before = len(sampled.snapshots)
        wait_until(lambda: len(sampled.snapshots) > before)


# The GIL

#: Longer than this, seconds, none of our threads may have kept it from another one in the best of some rounds. On a
#: busy machine the worst says nothing: the thread that waits is itself late to say so.
LONGEST_HOLD = 0.0025


def longest_hold(seconds: float) -> float:
    """The longest time for which this thread, which never rests, stood still because others of the process ran.

    A machine that is busy with other processes makes it stand still too, but uses none of this one's processor time.
    """
    found = 0.0
    last, used = time.perf_counter(), time.process_time()
    until = last + seconds
    while last < until:
        now, now_used = time.perf_counter(), time.process_time()
        found = max(found, min(now - last, now_used - used))
        last, used = now, now_used
    return found


def segment(number: int) -> Segment:
    """One with all that an exception leaves in it."""
    stack = "\n".join(f'File "app/module_{line}.py", line {line}, in function_{line}' for line in range(50))
    log = (("event", "error"), ("error.kind", "ValueError"), ("message", "m" * 100), ("stack", stack))
    tags = (("http.method", "GET"), ("http.url", "/orders/7"), ("http.status_code", "500"))
    where = ("shop", "one", "/orders/<int:number>")
    return Segment("trace", f"segment-{number}", *where, 1, 2, "192.0.2.7:5123", 7001, True, tags, log, None, False)


STACK = tuple(f"package/module_{line}.py.function_{line}: {line}" for line in range(60))


@pytest.mark.costs
@pytest.mark.alone
def test_what_is_reported_keeps_the_gil_from_nobody() -> None:
    with collector() as (address, _):
        reporter = Reporter(Config.load({"backend_services": address}, environ={}))
        reporter.start()

        def report() -> None:
            for number in range(500):
                reporter.segments.add(segment(number))
            for number in range(1000):
                reporter.snapshots.add(Snapshot("task", f"segment-{number % 50}", number, number // 50, STACK))
            reporter.wake()

        def sent() -> bool:
            return not len(reporter.segments) + len(reporter.snapshots)

        report()
        wait_until(sent)  # grpc has been imported
        quiet, held = [], []
        for _ in range(5):
            quiet.append(longest_hold(0.1))
            report()
            held.append(longest_hold(0.3))
            wait_until(sent)
        reporter.stop(2.0)
    assert reporter.segments.sent == 3_000
    assert min(held) < LONGEST_HOLD + min(quiet)


@pytest.mark.costs
@pytest.mark.alone
def test_samples_that_take_long_keep_the_gil_no_longer_than_any_code_of_the_app() -> None:
    """They take so long here since they look at 4,000 tasks of the request's own."""
    others = holds_of_the_app(6)
    held: list[float] = []
    with sampling(max_cpu=100.0, switch_interval=0.5) as sampled, Crowd(sampled, 4_000, own=True):
        while len(held) < 12:
            before = len(sampled.snapshots)
            longest = longest_hold(0.2)
            if len(sampled.snapshots) > before:
                held.append(longest)
    assert min(held) < LONGEST_HOLD + min(others + holds_of_the_app(6))


def holds_of_the_app(rounds: int) -> list[float]:
    """The longest holds beside a thread of the app's that computes, with the switch interval that samples have."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            sum(1 for _ in range(500_000))
            time.sleep(0.02)

    thread = threading.Thread(target=work)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        thread.start()
        return [longest_hold(0.2) for _ in range(rounds)]
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)


# What we know of ourselves

ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def test_every_number_is_documented() -> None:
    numbers, queue = (ROOT / "docs" / "statistics.md").read_text().split("Of what is sent, each has:")
    assert ROW.findall(numbers) == [each.name for each in fields(swprof_mw.Stats)]
    assert ROW.findall(queue) == [each.name for each in fields(Queue)]


def test_the_numbers_can_be_told_as_json(recorded: Recorded) -> None:
    application = Application(7001, {"service_name": "shop"})
    assert application.begin("GET", "/") is not None
    found = json.loads(json.dumps(asdict(swprof_mw.stats())))
    assert found["tasks"] == {"shop": None}
    assert found["segments"] == {"queued": 0, "sent": 0, "dropped": 0, "refused": 0}


def test_requests_that_wait_for_their_minimum_duration_are_counted(recorded: Recorded) -> None:
    application = Application(7001, {"service_name": "shop"})
    application.attach()
    recorded.profile("/slow", min_duration_threshold=60_000)
    spans = [application.begin("GET", "/slow") for _ in range(3)]
    assert (swprof_mw.stats().waiting, swprof_mw.stats().slots_taken) == (3, 0)
    for span in spans:
        assert span is not None
        span.end(200)


@pytest.mark.alone
def test_a_stretched_period_is_told(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "WINDOW", 20 * MS)
    application = Application(7001, {"service_name": "shop", "profile_max_cpu": 0.001})
    application.attach()
    assert swprof_mw.stats().period_stretch == 1
    recorded.profile("/slow")
    span = application.begin("GET", "/slow")
    assert span is not None
    span.enter(sys._getframe())
    wait_until(lambda: swprof_mw.stats().period_stretch > 1)
    span.end(200)


def test_the_backend_is_told_once_there_is_one() -> None:
    with Backend() as first, Backend() as second:
        first.stop()
        addresses = [first.address, second.address]
        application = Application(7001, {"service_name": "shop", "backend_services": addresses})
        application.attach()
        wait_until(lambda: swprof_mw.stats().backend == second.address)
