"""Every server in each of its ways: each worker is an instance of its own and profiles, and nothing is lost at its end.

What each process reports it lists itself, in a file: that is held against what has arrived. And each server is run once
more without us, to see that it writes nothing else.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from swprof_mw.collector.records import Segment
from swprof_mw.collector.server import Collector
from swprof_mw.query.client import OapClient
from tests import servers
from tests.load import drive, get
from tests.scripts import ROOT
from tests.waiting import endpoints_listed, eventually, fetched

pytestmark = pytest.mark.slow

FLASK = "tests.process_apps.flask_app:app"
STARLETTE = "tests.process_apps.starlette_app:app"
DJANGO_WSGI = "tests.process_apps.django_wsgi:app"
DJANGO_ASGI = "tests.process_apps.django_asgi:app"
DJANGO = "tests.process_apps.django_app"
GRACEFUL = ("--master", "--hook-master-start", "unix_signal:15 gracefully_kill_them_all")
#: A server has ended so many seconds after it was told to; two of them are ours at the most.
STOP_SECONDS = 15.0
#: A worker has fetched the task so long after its first request, or the task's creation, ms.
FETCHED = 2_000
#: What servers write at their end, or not, as it happens: gunicorn's workers may be told to end as they begin.
_AT_TIMES = re.compile(
    "Waiting for connections to close|Maximum request limit|Waiting for background tasks"
    "|Waiting for N connections to finish|was sent SIGTERM|Terminated child process"
)
_NUMBERS = re.compile(r"0x[0-9a-f]+|/tmp/tmp\w+|\d+(\.\d+)?")


@dataclass(frozen=True)
class Way:
    """A way to run a server.

    Attributes:
        server: a key of ``servers.COMMANDS``.
        target: the app.
        options: of the command line.
        environment: more variables.
        workers: processes that answer.
        during: done to it in the middle of the load.
        end: the signal that stops it gracefully; negative: for its whole group, as a terminal sends it.
        abrupt: whether it ends at once even while it closes a request whose answer is out.
    """

    server: str
    target: str
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: int = 2
    during: Callable[[Run], None] | None = None
    end: int = signal.SIGTERM
    abrupt: bool = False


class Run:
    """A server that runs in some way, and the requests that it has answered.

    Args:
        backend: the agents' address; empty: without us.
        directory: where its processes list what they report, and where it runs.
    """

    def __init__(self, way: Way, directory: Path, backend: str = "") -> None:
        self.way = way
        self.answered = 0
        self.pids: list[int] = []
        self.told: list[str] = []
        self.directory = directory
        settings = {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{directory}",
            "SWPROF_ENABLED": "on" if backend else "off",
            "SW_AGENT_COLLECTOR_BACKEND_SERVICES": backend or "127.0.0.1:1",
            "SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL": "0.2",
            "SWPROF_MAX_CPU": "100",
            "REPORTED": str(directory) if backend else "",
        }
        self.server = servers.start(
            way.server,
            way.target,
            {**settings, **way.environment},
            directory,
            workers=way.workers,
            options=way.options,
            python=servers.interpreter(way.server),
        )

    def work(self, count: int, parallel: int = 4) -> set[int]:
        """So many matching requests; the processes that have answered them."""
        found = drive([f"{self.server.url}/work"], count=count, parallel=parallel)
        assert {result.status for result in found} == {200}
        self.answered += count
        pids = {json.loads(result.body)["pid"] for result in found}
        self.pids.extend(pids - set(self.pids))
        return pids

    def work_everywhere(self) -> set[int]:
        """Matching requests until as many processes as there are workers have answered some; those processes."""
        seen: set[int] = set()
        deadline = time.monotonic() + 30
        while len(seen) < self.way.workers:
            assert time.monotonic() < deadline, f"only {seen} answer"
            seen |= self.work(8 if self.way.workers > 1 else 1)
        return seen

    def stop(self) -> set[str]:
        """Stop it gracefully; the kinds of lines that it has written."""
        time.sleep(0.5 * self.way.abrupt)
        began = time.monotonic()
        if self.way.end < 0:
            os.killpg(self.server.child.pid, -self.way.end)
        else:
            self.server.child.process.send_signal(self.way.end)
        eventually(lambda: not self.server.child.alive(), "the server has ended", STOP_SECONDS, 0.02)
        took = time.monotonic() - began
        assert took < STOP_SECONDS
        return {_NUMBERS.sub("N", line) for line in self.server.stop().replace(str(self.directory), "").splitlines()}


# What is done in the middle of the load.


def reload_by_hup(run: Run) -> None:
    """gunicorn and uWSGI: other workers take over."""
    before = set(run.pids)
    run.server.child.process.send_signal(signal.SIGHUP)
    eventually(lambda: not answering(run) & before, "other workers answer", interval=0.1)


def touch(run: Run) -> None:
    """The app's source changes, for servers that watch it."""
    before = set(run.pids)
    (run.directory / "watched.py").write_text("changed = True\n")
    eventually(lambda: not answering(run) & before, "another process answers", interval=0.2)


def answering(run: Run) -> set[int]:
    """The process that answers; those of before while none does."""
    try:
        return run.work(1)
    except OSError:
        return set(run.pids)


def recycle(run: Run) -> None:
    """Requests until a worker has answered all that it may, and another one has taken over."""
    before = set(run.pids)
    deadline = time.monotonic() + 30
    while set(run.pids) == before:
        assert time.monotonic() < deadline, "the same workers answer"
        run.work(4)


def split(run: Run) -> None:
    """Requests that start other processes."""
    for how in ("os.fork", "subprocess", "fork", "spawn", "forkserver"):
        start_process(run, how)


def split_simply(run: Run) -> None:
    """The same where multiprocessing does not work: in a child of its own, and where there is no interpreter to run."""
    for how in ("os.fork", "subprocess"):
        start_process(run, how)


def start_process(run: Run, how: str) -> None:
    """A request that starts another process, and tells how that ended: not always well, with some servers."""
    status, _, body = get(f"{run.server.url}/split/{how}")
    assert status == 200, f"{how}: {body!r}"
    run.told.append(f"{how}: {body.decode()}")


WARM: Mapping[str, str] = {"WARM_UP": "yes"}
RECYCLED = ("--max-requests", "15")
SHORT = {
    "gunicorn-gthread-preload-warm": Way("gunicorn-gthread", FLASK, ("--preload",), WARM, during=split),
    "uvicorn-workers": Way("uvicorn", STARLETTE),
    "uwsgi-warm": Way("uwsgi", FLASK, (*GRACEFUL, "--enable-threads"), WARM),
}
EVERY = {
    **{
        f"gunicorn-{kind}{suffix}": Way(f"gunicorn-{kind}", FLASK, options, environment, during=during)
        for kind in ("sync", "gthread", "gevent")
        for suffix, options, environment, during in (
            ("", (), {}, split if kind != "gevent" else None),
            ("-preload", ("--preload",), {}, None),
            ("-preload-warm", ("--preload",), WARM, None),
            ("-max-requests", RECYCLED, {}, recycle),
            ("-preload-max-requests", ("--preload", *RECYCLED), WARM, recycle),
            ("-hup", (), {}, reload_by_hup),
            ("-preload-hup", ("--preload",), WARM, reload_by_hup),
        )
    },
    **{
        f"gunicorn-{kind}{suffix}": Way(f"gunicorn-{kind}", target, options, during=during)
        for kind in ("uvicorn", "asgi")
        for suffix, target, options, during in (
            ("", STARLETTE, (), split),
            ("-preload", STARLETTE, ("--preload",), None),
            ("-max-requests", STARLETTE, RECYCLED, recycle),
            ("-hup", STARLETTE, (), reload_by_hup),
            ("-django", DJANGO_ASGI, (), None),
        )
    },
    "gunicorn-django": Way("gunicorn-gthread", DJANGO_WSGI, during=split),
    "gunicorn-sync-fork-support-off": Way(
        "gunicorn-sync", FLASK, ("--preload",), {**WARM, "GRPC_ENABLE_FORK_SUPPORT": "0"}
    ),
    "gunicorn-sync-fork-support-on": Way(
        "gunicorn-sync", FLASK, ("--preload",), {**WARM, "GRPC_ENABLE_FORK_SUPPORT": "1"}
    ),
    "uwsgi": Way("uwsgi", FLASK, (*GRACEFUL, "--enable-threads"), during=split_simply),
    "uwsgi-lazy": Way("uwsgi", FLASK, (*GRACEFUL, "--enable-threads", "--lazy-apps"), during=split_simply),
    "uwsgi-lazy-warm": Way("uwsgi", FLASK, (*GRACEFUL, "--enable-threads", "--lazy-apps"), WARM),
    "uwsgi-threads": Way("uwsgi", FLASK, (*GRACEFUL, "--threads", "4")),
    "uwsgi-hup": Way("uwsgi", FLASK, (*GRACEFUL, "--enable-threads", "--lazy-apps"), during=reload_by_hup),
    "uwsgi-max-requests": Way("uwsgi", FLASK, (*GRACEFUL, "--enable-threads", *RECYCLED), during=recycle),
    "uwsgi-die-on-term": Way("uwsgi", FLASK, ("--master", "--die-on-term", "--enable-threads"), abrupt=True),
    "uwsgi-without-master": Way(
        "uwsgi", FLASK, ("--die-on-term", "--enable-threads"), WARM, workers=1, end=signal.SIGINT, abrupt=True
    ),
    "uvicorn-one": Way("uvicorn", STARLETTE, workers=1, during=split),
    "uvicorn-one-int": Way("uvicorn", STARLETTE, workers=1, end=signal.SIGINT),
    "uvicorn-django": Way("uvicorn", DJANGO_ASGI, workers=1),
    "uvicorn-workers-django": Way("uvicorn", DJANGO_ASGI),
    "uvicorn-workers-int": Way("uvicorn", STARLETTE, end=-signal.SIGINT),
    "uvicorn-uvloop": Way("uvicorn-uvloop", STARLETTE),
    "uvicorn-reload": Way("uvicorn-reload", STARLETTE, workers=1, during=touch),
    "waitress": Way("waitress", FLASK, workers=1, during=split, end=signal.SIGINT),
    "hypercorn": Way("hypercorn", STARLETTE, during=split_simply),
    "hypercorn-one": Way("hypercorn", STARLETTE, workers=1),
    "hypercorn-django": Way("hypercorn", DJANGO_ASGI, end=signal.SIGINT),
    "runserver": Way("runserver", DJANGO, workers=1, end=-signal.SIGINT),
    "runserver-touched": Way("runserver", DJANGO, workers=1, during=touch, end=-signal.SIGINT),
    "runserver-noreload": Way("runserver", DJANGO, ("--noreload",), workers=1, during=split, end=signal.SIGINT),
}
WAYS = [
    *(pytest.param(way, id=name) for name, way in SHORT.items()),
    *(pytest.param(way, id=name, marks=pytest.mark.processes) for name, way in EVERY.items() if name not in SHORT),
]


@pytest.mark.parametrize("way", WAYS)
def test_every_worker_profiles_and_nothing_is_lost(way: Way, tmp_path: Path) -> None:
    with Collector(grpc_port=0, http_port=0) as collector:
        ours = Run(way, scratch(tmp_path, "with"), collector.backend)
        with ours.server:
            load(ours, OapClient(collector.url))
            lines = ours.stop()
        check_arrived(ours, collector)
    other = Run(way, scratch(tmp_path, "without"))
    with other.server:
        load(other, None)
        new = lines - other.stop()
    assert {line for line in new if not _AT_TIMES.search(line)} == set()
    assert ours.told == other.told


def scratch(directory: Path, name: str) -> Path:
    """A directory of its own, with a module that servers watch."""
    made = directory / name
    made.mkdir()
    (made / "watched.py").write_text("")
    return made


def load(run: Run, client: OapClient | None) -> None:
    """Requests: before a task runs, while it does, and to the very end."""
    run.work_everywhere()
    if client is not None:
        endpoints_listed(client, "shop", "/work")
        task_id = client.create_task("shop", "/work", samples=9, period=10)
        fetched(client, {task_id: "shop"}, run.way.workers)
    run.work_everywhere()
    if run.way.during is not None:
        run.way.during(run)
        run.work_everywhere()
        time.sleep(1.0)
    run.work_everywhere()


def check_arrived(run: Run, collector: Collector) -> None:
    """All that was reported is there, each worker that answered lists its instance, and each has profiles."""
    store = collector.store
    segments = {segment.segment_id: segment for segment in store.segments() if segment.service == "shop"}
    assert listed(run.directory, "dropped") == []
    assert set(listed(run.directory, "segments")) == segments.keys()
    answered = [segment for segment in segments.values() if segment.endpoint_name == "/work"]
    assert len(answered) == run.answered
    taken = listed(run.directory, "snapshots")
    sampled = {line.split()[0] for line in taken}
    snapshots = [f"{one} {snapshot.sequence}" for one in sampled for snapshot in store.snapshots(one)]
    assert sorted(snapshots) == sorted(taken)
    sampled &= segments.keys()  # a request that its process's end cut off has snapshots, and no segment
    assert sampled
    processes = {instance.name: int(dict(instance.properties)["Process No."]) for instance in store.instances("shop")}
    assert sorted(processes.values()) == sorted(set(processes.values())), "two instances of one process"
    assert {processes[segment.instance] for segment in answered} == set(run.pids)
    profiled = {segments[one].instance for one in sampled}
    assert profiled >= established(answered, min(segments[one].start for one in sampled))
    print(
        f"{len(run.pids)} processes answered, {len(profiled)} have profiles;"
        f" {len(segments)} segments and {len(snapshots)} snapshots, none lost"
    )


def established(answered: list[Segment], since: float) -> set[str]:
    """The instances that have answered a matching request after they had time to ask for tasks, of which there is one.

    Args:
        answered: the matching requests.
        since: when the first one was profiled, ms since the epoch.
    """
    first: dict[str, float] = {}
    for segment in sorted(answered, key=lambda segment: segment.start):
        first.setdefault(segment.instance, max(segment.start, since))
    return {segment.instance for segment in answered if segment.start > first[segment.instance] + FETCHED}


def listed(directory: Path, kind: str) -> list[str]:
    """What all processes have listed of that kind."""
    return [line for file in directory.glob(f"{kind}-*") for line in file.read_text().splitlines()]


# uWSGI without threads.


@pytest.mark.parametrize("options", [(), pytest.param(("--lazy-apps",), marks=pytest.mark.processes)])
def test_uwsgi_without_threads_says_so_and_serves_without_us(options: tuple[str, ...], tmp_path: Path) -> None:
    with Collector(grpc_port=0, http_port=0) as collector:
        way = Way("uwsgi", FLASK, (*GRACEFUL, *options), WARM)
        run = Run(way, scratch(tmp_path, "run"), collector.backend)
        with run.server:
            run.work_everywhere()
            lines = run.stop()
        assert not collector.store.services()
    said = {line for line in lines if "swprof_mw" in line or "Traceback" in line}
    assert said == {"swprof_mw is off: uWSGI lets no threads run; start it with enable-threads"}
    assert run.server.output().count("swprof_mw is off") == way.workers
