"""Whether it runs in this process at all, and in the server that the app is for."""

from __future__ import annotations

import configparser
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from swprof_mw import neighbours, runtime, servers
from swprof_mw.check.finding import CheckError, Finding, finding

#: Where uWSGI's options are looked for if no file is named.
UWSGI_FILE = "uwsgi.ini"
_VARIABLE = "UWSGI_"
#: Variables that uWSGI sets itself, and that are no options.
_NO_OPTIONS = ("UWSGI_RELOADS", "UWSGI_ORIGINAL_PROC_NAME")
#: Options that name another file.
_INCLUDES = ("ini", "include")
#: The newest Python that is tested.
_TESTED = (3, 13)


def interpreter() -> Iterator[Finding]:
    """What there is against this Python, or against how it runs."""
    reason = runtime.why_not()
    if reason:
        yield finding("unsupported", f"requests pass without being profiled: {reason}", _mend_of(reason))
    version = ".".join(map(str, sys.version_info[:2]))
    if sys.version_info[:2] > _TESTED:
        yield finding("untested", f"Python {version} is newer than what is tested")
    if sys.platform != "linux":
        yield finding("untested", f"on {sys.platform}, lines of threads that wait are not marked as [waiting]")


def beside() -> Iterator[Finding]:
    """What is in this process beside us."""
    if neighbours.official_agent_runs():
        yield finding(
            "agent-skywalking",
            "SkyWalking's own Python agent runs here too: requests are reported twice, and tasks carried out twice",
            "start the app without it (sw-python, agent.start()), or without us: SWPROF_ENABLED=off",
        )
    if neighbours.is_traced():
        words = "a tracer is set (a debugger, coverage): a profile may miss what a request does on other threads"
        yield finding("tracer", words, "profile without it")
    names = neighbours.harmless()
    if names:
        yield finding("agents-beside", f"in this process too, and not in the way: {', '.join(names)}")


def _mend_of(reason: str) -> str:
    for word, mend in (
        ("enable-threads", "add enable-threads to uWSGI's options"),
        ("eventlet", "run it under gevent, threads or asyncio"),
        ("interpreter", "set WSGIApplicationGroup %{GLOBAL}"),
    ):
        if word in reason:
            return mend
    return "run it on CPython 3.10 to 3.13, with the GIL"


def uwsgi(file: Path | None, directory: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether uWSGI, if the app is for it, lets threads run.

    Args:
        file: uWSGI's ``.ini``; None: the one in ``directory``, if there is one.
        directory: where the app is.
        environ: may have uWSGI's options as ``UWSGI_OPTION``.

    Raises:
        CheckError: the file cannot be read.
    """
    here = directory / UWSGI_FILE
    path = file or (here if here.is_file() else None)
    options = {**(_options(path) if path else {}), **_of_environment(environ)}
    if options and not servers.lets_threads_run(options):
        where = str(path) if path else "its variables"
        mend = f"add enable-threads = true to {path}" if path else f"set {_VARIABLE}ENABLE_THREADS=1"
        yield finding("uwsgi-threads", f"uWSGI lets no threads run, by {where}: nothing would be profiled", mend)
    elif not options and _is_installed("uwsgi"):
        yield finding(
            "uwsgi-unknown",
            "uWSGI is installed, but its options are not known: it lets no threads run unless told to",
            "if the app runs under it, give its .ini by --uwsgi, and have enable-threads in it",
        )


def _options(path: Path, outer: frozenset[Path] = frozenset()) -> dict[str, str]:
    """The options of a file, and of those that it includes."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, delimiters=("=",))
    try:
        parser.read_string(path.read_text())
    except (OSError, ValueError, configparser.Error) as error:
        raise CheckError(f"{path} cannot be read as uWSGI's .ini: {str(error).splitlines()[0]}") from error
    if not parser.has_section("uwsgi"):
        raise CheckError(f"{path} has no section [uwsgi]")
    # A line without a value counts for nothing.
    found = {name: value.strip() for name, value in parser.items("uwsgi") if value is not None}
    included = [path.parent / found[name] for name in _INCLUDES if name in found]
    for each in included:
        if each.is_file() and each not in outer:
            found = {**_options(each, outer | {path, each}), **found}
    return found


def _of_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """uWSGI's options among the variables."""
    found = {name: value for name, value in environ.items() if name.startswith(_VARIABLE) and name not in _NO_OPTIONS}
    return {name.removeprefix(_VARIABLE).lower().replace("_", "-"): value for name, value in found.items()}


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
