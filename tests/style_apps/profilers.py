"""Profilers and other observers: what is counted, what is sampled, what is dumped."""

from __future__ import annotations

import cProfile
import faulthandler
import importlib
import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
import tracemalloc
from types import FrameType
from typing import Any

from tests.style_apps import watched
from tests.style_apps.tool import Tool

#: At least so long the requests wait in ``own_pause``, seconds: once each on a thread and on a worker.
_PAUSED = watched.ROUNDS * watched.PAUSE


def own(frame: FrameType | None) -> set[str]:
    """The requests' functions on a stack."""
    found = set()
    while frame is not None:
        if frame.f_code.co_filename == watched.FILE:
            found.add(frame.f_code.co_name)
        frame = frame.f_back
    return found


class CProfile(Tool):
    """The standard library's. From Python 3.12 on it is told what all threads do, and takes them for one."""

    name = "cProfile"

    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def start(self) -> None:
        self._profile.enable()

    def stop(self) -> None:
        self._profile.disable()

    def is_on(self) -> bool:
        watched.own_never()
        return "own_never" in self._entries()

    def _entries(self) -> dict[str, Any]:
        entries: Any = self._profile.getstats()
        return {one.code.co_name: one for one in entries if getattr(one.code, "co_filename", "") == watched.FILE}

    def recorded(self) -> dict[str, Any]:
        entries = self._entries()
        calls = {name: entry.callcount for name, entry in entries.items()}
        return {"calls": calls, "view and pauses": entries["own_view"].totaltime >= _PAUSED}


class Coverage(Tool):
    """coverage.py with one of its ways to measure."""

    hides_workers = True
    core: str

    def __init__(self) -> None:
        coverage = importlib.import_module("coverage")
        self._coverage = coverage.Coverage(data_file=None, config_file=False, branch=True, include=[watched.FILE])
        self._coverage.set_option("run:core", self.core)
        self._coverage.set_option("run:disable_warnings", ["module-not-measured", "already-imported"])

    def start(self) -> None:
        self._coverage.start()
        self._hook = sys.gettrace()

    def stop(self) -> None:
        self._coverage.stop()

    def is_on(self) -> bool:
        return sys.gettrace() is self._hook is not None

    def recorded(self) -> dict[str, Any]:
        data = self._coverage.get_data()
        return {"lines": sorted(data.lines(watched.FILE)), "arcs": sorted(data.arcs(watched.FILE) or ())}


class CoverageInC(Coverage):
    name = "coverage.py ctrace"
    core = "ctrace"


class CoverageInPython(Coverage):
    name = "coverage.py pytrace"
    core = "pytrace"


class CoverageByMonitoring(Coverage):
    name = "coverage.py sysmon"
    core = "sysmon"
    since = (3, 12)
    hides_workers = False

    def __init__(self) -> None:
        super().__init__()
        self._coverage.set_option("run:branch", sys.version_info >= (3, 14))

    def is_on(self) -> bool:
        monitoring: Any = vars(sys)["monitoring"]
        return any("coverage" in (monitoring.get_tool(tool) or "") for tool in range(6))


class Tracemalloc(Tool):
    """Who allocated what is still there."""

    name = "tracemalloc"

    def start(self) -> None:
        tracemalloc.start()

    def stop(self) -> None:
        self._snapshot = tracemalloc.take_snapshot()
        tracemalloc.stop()

    def is_on(self) -> bool:
        return tracemalloc.is_tracing()

    def recorded(self) -> dict[str, Any]:
        only = self._snapshot.filter_traces([tracemalloc.Filter(True, watched.FILE)])
        kept = [trace for trace in only.traces if trace.size > 1_000]
        return {"blocks": len(kept), "bytes": sum(trace.size for trace in kept)}


class Sampling(Tool):
    """Looks from time to time, until it has seen what it will see if it only looks often enough.

    Attributes:
        seen: the requests' functions that it has seen.
        wanted: those that it needs to see.
    """

    wanted = frozenset({"own_view", "own_app", "own_compute"})

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def has_enough(self) -> bool:
        return self.wanted <= self.seen

    def recorded(self) -> dict[str, Any]:
        return {"seen": sorted(self.seen & self.wanted)}


class SignalProfiler(Sampling):
    """A handler of ``SIGPROF`` that walks the stack it has interrupted."""

    name = "setitimer(ITIMER_PROF)"

    def start(self) -> None:
        self._before = signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)

    def _tick(self, _: int, frame: FrameType | None) -> None:
        self.seen |= own(frame)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self._before)

    def is_on(self) -> bool:
        return signal.getsignal(signal.SIGPROF) == self._tick and signal.getitimer(signal.ITIMER_PROF)[1] > 0


class SamplingThread(Sampling):
    """A thread that looks at the stacks of all others."""

    name = "sys._current_frames"
    # What computes has the GIL, mostly to its end: without us, and our shorter switch interval, it is hardly seen.
    wanted = frozenset({"own_view", "own_work", "own_pause"})

    def start(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def _sample(self) -> None:
        while not self._stopping.wait(0.003):
            self.seen |= self.look()

    def look(self) -> set[str]:
        """The requests' functions on all stacks."""
        return set().union(*map(own, sys._current_frames().values()))

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def is_on(self) -> bool:
        return self._thread.is_alive()


class FaultHandler(SamplingThread):
    """``faulthandler``: a thread dumps all stacks, and a dump is due later, when nobody works any more.

    Not while somebody does: the later one is taken without the GIL, and CPython may crash if threads run on meanwhile.
    """

    name = "faulthandler"
    _LATER = 0.8

    def start(self) -> None:
        self._file = tempfile.TemporaryFile("w+")  # noqa: SIM115
        faulthandler.dump_traceback_later(self._LATER, file=self._file)
        super().start()

    def look(self) -> set[str]:
        with tempfile.TemporaryFile("w+") as file:
            faulthandler.dump_traceback(file)
            file.seek(0)
            return set(re.findall(r" in (own_\w+)", file.read()))

    def stop(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        self._file.close()

    def is_on(self) -> bool:
        super().stop()
        time.sleep(self._LATER)
        return os.fstat(self._file.fileno()).st_size > 0


class Pyinstrument(Sampling):
    """pyinstrument, which follows one thread and its coroutines."""

    name = "pyinstrument"
    # Which functions it meets is a matter of chance each time.
    _ROUNDS = 6

    def start(self) -> None:
        self._rounds = 0
        self._profiler = importlib.import_module("pyinstrument").Profiler(interval=0.005, async_mode="enabled")
        self._profiler.start()
        self._hook = sys.getprofile()

    def has_enough(self) -> bool:
        # It tells what it has seen only when it has stopped.
        self._rounds += 1
        return self._rounds >= self._ROUNDS

    def stop(self) -> None:
        self._profiler.stop()
        renderer = importlib.import_module("pyinstrument.renderers").JSONRenderer()
        self._collect(json.loads(self._profiler.output(renderer))["root_frame"])

    def _collect(self, frame: dict[str, Any]) -> None:
        self.seen.add(frame["function"])
        for child in frame["children"]:
            self._collect(child)

    def is_on(self) -> bool:
        return sys.getprofile() is self._hook and bool(self._profiler.is_running)


class Yappi(Tool):
    """yappi, which counts the calls of all threads, ours included."""

    name = "yappi"

    def __init__(self) -> None:
        self._yappi = importlib.import_module("yappi")

    def start(self) -> None:
        self._yappi.clear_stats()
        self._yappi.set_clock_type("wall")
        self._yappi.start(builtins=False)

    def stop(self) -> None:
        self._yappi.stop()

    def is_on(self) -> bool:
        return bool(self._yappi.is_running())

    def recorded(self) -> dict[str, Any]:
        stats = self._yappi.get_func_stats(filter_callback=lambda stat: stat.module == watched.FILE)
        return {stat.name: stat.ncall for stat in stats}


TOOLS: tuple[type[Tool], ...] = (
    CProfile,
    CoverageInC,
    CoverageInPython,
    CoverageByMonitoring,
    Tracemalloc,
    SignalProfiler,
    SamplingThread,
    FaultHandler,
    Pyinstrument,
    Yappi,
)
