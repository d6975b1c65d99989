"""Makes this Linux look like another system: what macOS or Windows lack is taken away before anything imports it.

Every process of a test run that has this directory on its ``PYTHONPATH`` begins with it: ``nox -s elsewhere``.
"""

from __future__ import annotations

import builtins
import errno
import functools
import os
import platform
import sys
import sysconfig
import time
from collections.abc import Callable
from typing import Any

MISSING = {
    time: ["clock_gettime", "clock_gettime_ns", "pthread_getcpuclockid"],
    os: [
        *("fork", "forkpty", "register_at_fork", "getpriority", "pread", "killpg", "setsid"),
        *(name for name in dir(os) if name.startswith(("sched_", "SCHED_"))),
    ],
}
MODULES = ("fcntl", "grp", "pwd", "resource")


def _without_modules(function: Callable[..., Any]) -> Callable[..., Any]:
    """For the package itself: the tests need them to do their work here."""

    def call(name: str, namespace: Any = None, *arguments: Any, **options: Any) -> Any:
        if name in MODULES and str((namespace or {}).get("__name__")).startswith("swprof_mw."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return function(name, namespace, *arguments, **options)

    return call


def _without_proc(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any = ".", *arguments: Any, **options: Any) -> Any:
        if isinstance(path, str) and path.startswith("/proc"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return function(path, *arguments, **options)

    # No function: Python 3.10 has it in a class of pathlib's, where one would be a method.
    return functools.partial(call)


for module, names in MISSING.items():
    for name in names:
        delattr(module, name)
if hasattr(os, "process_cpu_count"):  # which asks the scheduler where that can be asked
    os.process_cpu_count = os.cpu_count
builtins.__import__ = _without_modules(builtins.__import__)
os.open, os.listdir = _without_proc(os.open), _without_proc(os.listdir)
platform.system = lambda: "Elsewhere"
sysconfig.get_config_vars()  # found by the platform's name, once
sys.platform = "elsewhere"
