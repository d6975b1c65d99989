"""Styles of code on real servers: WebSockets, streamed bodies, apps inside of apps; followed over sockets.

Of each style two requests are profiled at once, with others beside them.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.sync.client import connect

from swprof_mw.collector.analysis import Stretch, analyze
from swprof_mw.collector.records import Segment, Snapshot
from swprof_mw.collector.server import Collector
from swprof_mw.query.client import OapClient
from tests import servers
from tests.load import get
from tests.style_apps.work import CHUNKS
from tests.waiting import eventually, fetched

pytestmark = [pytest.mark.profiles, pytest.mark.slow]

ROOT = Path(__file__).resolve().parent.parent
PERIOD = 10
#: Of the snapshots, those with the request's own functions.
OWN = 0.95
#: Of the ticks, those with a snapshot.
TAKEN = 0.8
ROUNDS = 5

WSGI = ("flask-stream", "flask-stream-in-context", "django-stream")
SOCKETS = ("websocket", "websocket-analysed")
STREAMS = ("stream", "stream-async")
MOUNTS = (
    "fastapi/sync",
    "fastapi-both/async",
    "django/async",
    "django-both/sync",
    "a2wsgi/sync",
    "a2wsgi-both/stream",
    "starlette-wsgi/stream",
    "starlette-wsgi-both/sync",
)
STYLES = {
    "waitress": WSGI,
    "gunicorn-gthread": WSGI,
    "gunicorn-gevent": WSGI,
    "uvicorn": (*SOCKETS, *STREAMS, "django-stream-async", *MOUNTS),
    "uvicorn-uvloop": ("websocket", *STREAMS),
    "hypercorn": ("websocket", *STREAMS, "django-stream-async"),
}
#: The others answer in the same ways: a release tests them.
IN_CI = ("gunicorn-gthread", "gunicorn-gevent", "uvicorn")


class Profiled(NamedTuple):
    """One profiled request, as the backend has it."""

    segment: Segment
    snapshots: list[Snapshot]


def talk(url: str) -> bytes:
    """Everything that the app says over a WebSocket, each message answered."""
    said = b""
    with connect(url.replace("http:", "ws:"), proxy=None) as socket:
        for message in socket:
            assert isinstance(message, bytes)
            said += message
            with contextlib.suppress(OSError):
                socket.send(message)
    return said


def ask(url: str) -> bytes:
    """What the app answers."""
    if "/websocket" in url:
        return talk(url)
    status, _, body = get(url)
    assert status == 200, body
    return body


@contextlib.contextmanager
def others(url: str) -> Iterator[None]:
    """Two clients that ask for this again and again."""
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            ask(url)

    with ThreadPoolExecutor(2) as pool:
        clients = [pool.submit(client) for _ in range(2)]
        yield
        stop.set()
    for one in clients:
        one.result()


def request(url: str) -> None:
    """The two requests that are profiled."""
    with others(f"{url}/other"), ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, (f"{url}/own?a", f"{url}/own?b"))) == [b"a" * CHUNKS, b"b" * CHUNKS]


Profiles = dict[str, list[Profiled]]


def profile(kind: str, styles: Sequence[str]) -> Profiles:
    """Profile the requests of these styles, one style after the other, on a server of this kind."""
    target = "tests.style_apps.wsgi:app" if STYLES[kind] is WSGI else "tests.style_apps.asgi:app"
    with Collector(grpc_port=0, http_port=0) as collector:
        environment = {
            "SW_AGENT_COLLECTOR_BACKEND_SERVICES": collector.backend,
            "SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL": "0.1",
            # Two requests at once on a slow machine: each tick is to be taken.
            "SWPROF_MAX_CPU": "100",
        }
        options = ("--no-access-log",) if kind.startswith("uvicorn") else ()
        with servers.start(kind, target, environment, ROOT, path=None, threads=8, options=options) as server:
            client = OapClient(collector.url)
            for style in styles:
                ask(f"{server.url}/{style}/other")
            tasks = {style: create(client, style) for style in styles}
            fetched(client, {task: service(style) for style, task in tasks.items()})
            for style in styles:
                request(f"{server.url}/{style}")
            eventually(lambda: not unfinished(client, tasks), "all tasks are finished", interval=0.05)
        return {style: found(collector, task) for style, task in tasks.items()}


@functools.cache
def profiles(kind: str) -> Profiles:
    """The profiles of all styles on a server of this kind."""
    return profile(kind, STYLES[kind])


def service(style: str) -> str:
    """The service that an app of this style reports as."""
    return style.partition("/")[0].removesuffix("-async") if style.startswith("django-stream") else style.split("/")[0]


def create(client: OapClient, style: str) -> str:
    """A task for the two requests to come; they are found by their path."""
    return client.create_task(service(style), f"/{style}/own", samples=2, period=PERIOD)


def unfinished(client: OapClient, tasks: dict[str, str]) -> set[str]:
    """The styles whose task goes on."""
    return {
        style
        for style, id_ in tasks.items()
        for task in client.tasks(service(style))
        if task.id == id_ and not task.finished
    }


def found(collector: Collector, task_id: str) -> list[Profiled]:
    """What came of a task."""
    return [
        Profiled(segment, sorted(collector.store.snapshots(segment.segment_id), key=lambda one: one.sequence))
        for segment in collector.store.profiled(task_id)
    ]


def case(kind: str, *style: str) -> Any:
    """A parameter of a test: for CI, or for a release only."""
    return pytest.param(kind, *style, marks=() if kind in IN_CI else pytest.mark.release)


styles = pytest.mark.parametrize(
    ("kind", "style"), [case(kind, style) for kind, of_kind in STYLES.items() for style in of_kind]
)


@styles
def test_a_profile_is_of_its_request_alone(kind: str, style: str) -> None:
    requests = profiles(kind)[style]
    seen = []
    for segment, snapshots in requests:
        start, end = segment.start, segment.start + segment.duration
        assert all(start <= one.time <= end for one in snapshots)
        assert len(analyze([Stretch(snapshots, start, end)]).trees) == 1
        lines = [line for one in snapshots for line in one.stack]
        assert not [line for line in lines if ".other" in line]
        seen.append({twin for twin in "ab" if any(f".own_{twin}" in line for line in lines)})
    assert sorted(map(sorted, seen)) == [["a"], ["b"]]


@styles
def test_a_profile_shows_the_requests_own_functions(kind: str, style: str) -> None:
    # What we miss is missed in each round. A machine that is busy now lets frameworks take longer with their part.
    rounds = itertools.chain([profiles(kind)], (profile(kind, [style]) for _ in range(ROUNDS - 1)))
    shares = list(itertools.takewhile(lambda share: share < OWN, (own_share(one[style]) for one in rounds)))
    assert len(shares) < ROUNDS, shares


def own_share(requests: Sequence[Profiled]) -> float:
    """Of the snapshots, or of most of the ticks if there are fewer snapshots, those with a function of the request."""
    snapshots = [one for request in requests for one in request.snapshots]
    ticks = sum(request.segment.duration for request in requests) / PERIOD
    own = [one for one in snapshots if any(".own_" in line for line in one.stack)]
    return len(own) / max(len(snapshots), TAKEN * ticks)


@pytest.mark.parametrize("kind", [case(kind) for kind, of_kind in STYLES.items() if "websocket" in of_kind])
def test_only_websockets_that_are_to_be_analysed_count_in_metrics(kind: str) -> None:
    for style in set(SOCKETS) & set(STYLES[kind]):
        skips = {span.skip_analysis for segment, _ in profiles(kind)[style] for span in segment.spans}
        assert skips == {style != "websocket-analysed"}
