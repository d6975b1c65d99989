"""One agent a process: started by its first request, again after a fork, flushed at exit."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from functools import partial

from swprof_mw import forks, servers
from swprof_mw.clock import monotonic_ns
from swprof_mw.config import Config, ConfigError
from swprof_mw.names import instance_name
from swprof_mw.native import allocate_lock, get_ident
from swprof_mw.profiling.sampler import Sampler
from swprof_mw.profiling.sampler_settings import SamplerSettings
from swprof_mw.reporter.reporter import Reporter
from swprof_mw.service import Service

#: What is queued at exit is sent within so many seconds, then dropped.
FLUSH_TIMEOUT = 2.0
#: A fork waits so many seconds for a call that is in flight, and then for it to be broken off.
FORK_WAIT = 0.02
INTERRUPT_WAIT = 0.02
#: Then so many seconds for grpc to end: it may be the app's own, which does not.
GRPC_WAIT = 0.02
#: A fork waits so long at the most for our own first import of grpc, seconds: it happens once, right after the start.
IMPORT_WAIT = 2.0
_NS_PER_SECOND = 1_000_000_000
_NS_PER_MINUTE = 60 * _NS_PER_SECOND


class Agent:
    """What a process has once: a reporter, a sampler, a name.

    Args:
        config: the process-wide settings, those of the first app.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.process_id = os.getpid()
        self.prefix = prefix = uuid.uuid4().hex
        self.instance = instance_name(
            config.instance_name, socket.gethostname(), self.process_id, partial(_short, prefix)
        )
        self.reporter = Reporter(config, on_grpc=_hook_forks_again, plain=forks.grpc_is_lost())
        self.sampler = Sampler(_sampler_settings(config), self.reporter.snapshots.add)
        self.services: dict[str, Service] = {}
        self.next_number: Callable[[], int] = itertools.count().__next__

    def service(self, config: Config, name: str) -> Service:
        """The service of that name, made and reported for from now on if it is new.

        Raises:
            ConfigError: the process-wide settings of this app differ from those of the first.
        """
        differs = self.config.disagreement(config)
        if differs:
            raise ConfigError(differs)
        service = self.services.get(name)
        if service is None:
            self.reporter.start()
            service = self.services[name] = Service(self, config, name)
            self.reporter.join(service)
        return service

    def stop(self, timeout: float = FLUSH_TIMEOUT) -> None:
        """Close what is sampled, send what is queued, and end, within ``timeout`` seconds."""
        until = monotonic_ns() + int(timeout * _NS_PER_SECOND)
        for service in tuple(self.services.values()):
            service.ended = True
            if service.tasks.current is not None:
                service.tasks.stop_current_profile_task(service.tasks.current)
        self.sampler.stop(timeout / 4)
        self.reporter.stop(max(until - monotonic_ns(), 0) / _NS_PER_SECOND)


_lock = allocate_lock()
_agent: Agent | None = None
#: Whether the process is about to end.
_over = False
_hooked = False
_hooked_again = False
#: Held by the thread that forks now, whose identifier that is.
_forking = allocate_lock()
_forker = 0
#: What lets the reporter go on that is held meanwhile.
_resume: list[Callable[[], None]] = []
#: Agents of the parents of this process, kept for ever: to end one is to touch grpc objects that do not work here.
_inherited: list[Agent] = []


def attach(config: Config, default_name: str) -> Service | None:
    """The service of an app in this process's agent, which is started if it is the first; None: the process ends.

    Raises:
        ConfigError: there is no name for the service, or the process-wide settings differ from another app's.
    """
    global _agent
    name = config.service_name or default_name
    if not name:
        raise ConfigError("service_name is not set, and the app has no name of its own")
    with _lock:
        if _over:
            return None
        if _agent is None or _agent.process_id != os.getpid():
            _hook()
            _leave_behind()
            _agent = Agent(config)
            servers.before_uvicorn_ends(shut_down)
        return _agent.service(config, name)


def current() -> Agent | None:
    """This process's agent; None if none was started."""
    return _agent if _agent is not None and _agent.process_id == os.getpid() else None


def shut_down(timeout: float = FLUSH_TIMEOUT) -> None:
    """End this process's agent, sending what is queued within ``timeout`` seconds.

    The next request of an app starts a new one.
    """
    global _agent
    agent = current()
    if agent is not None:
        with _lock:
            _agent = None
        agent.stop(timeout)


def _hook() -> None:
    """What needs to be done at the process's exit and after its forks; hooked once, when the first agent starts."""
    global _hooked
    if _hooked:
        return
    _hooked = True
    # Where multiprocessing's children pass by as well, and threads can still be started.
    if hasattr(threading, "_register_atexit"):
        with contextlib.suppress(RuntimeError):  # the main thread has ended already
            threading._register_atexit(_main_thread_ended)
    atexit.register(_end)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_forget)


def _main_thread_ended() -> None:
    """The interpreter waits for the app's other threads next: while they serve, the agent goes on, until atexit.

    A child of multiprocessing leaves without that. Those that still serve there start another agent.
    """
    others = [thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
    multiprocessing = sys.modules.get("multiprocessing")
    if not others:
        _end()
    elif multiprocessing is not None and multiprocessing.parent_process() is not None:
        shut_down()


def _end() -> None:
    """The process ends: no agent is started any more."""
    global _over
    _over = True
    shut_down()


def _hook_forks_again() -> None:
    """Hooked once more after grpc has hooked its own: what is hooked last is done first before a fork."""
    global _hooked_again
    if not _hooked_again and hasattr(os, "register_at_fork"):
        _hooked_again = True
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork)


def _before_fork() -> None:
    """Let no call be in flight at a fork, nor any object of grpc's be there: a child could not do anything with it.

    Nor any import: a child forked meanwhile can never import that module, since nobody there ends what was begun.
    """
    global _forker
    agent = current()
    if agent is None or _forker == get_ident() or not _forking.acquire(True, FORK_WAIT):
        return
    _forker = get_ident()
    reporter = agent.reporter
    if reporter.hold_import(IMPORT_WAIT):
        _resume.append(reporter.resume_import)
    held = reporter.hold(FORK_WAIT)
    if not held:
        reporter.interrupt()
        held = reporter.hold(INTERRUPT_WAIT)
    if held:
        _resume.append(reporter.resume)
        reporter.disconnect()
        forks.grpc_ends(GRPC_WAIT)


def _after_fork() -> None:
    global _forker
    if _forker == get_ident():
        while _resume:
            _resume.pop()()
        _forker = 0
        _forking.release()


def _forget() -> None:
    """In a child: the agent's threads stayed in the parent, and its locks may be held for ever."""
    global _lock, _forking, _forker, _over
    _lock, _forking, _forker, _over = allocate_lock(), allocate_lock(), 0, False
    _resume.clear()
    _leave_behind()


def _leave_behind() -> None:
    """The agent of a parent, if there is one, is ours no more."""
    global _agent
    agent, _agent = _agent, None
    if agent is not None:
        _inherited.append(agent)
        agent.sampler.leave_behind()


def _sampler_settings(config: Config) -> SamplerSettings:
    return SamplerSettings(
        max_parallel=config.profile_max_parallel,
        max_depth=config.profile_dump_max_stack_depth,
        max_duration=int(config.profile_duration * _NS_PER_MINUTE),
        switch_interval=config.profile_switch_interval,
        max_cpu=config.profile_max_cpu,
        mark_waiting=config.profile_mark_waiting,
        code_signature=config.code_signature,
    )


def _short(prefix: str) -> str:
    return prefix[:12]
