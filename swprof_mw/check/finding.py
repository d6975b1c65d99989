"""One thing that is not as it should be."""

from __future__ import annotations

from typing import Literal, NamedTuple

#: ``error``: nothing is profiled, or not all. ``warning``: it works, but hardly as meant. ``note``: good to know.
Severity = Literal["error", "warning", "note"]

SEVERITIES: dict[str, Severity] = {
    # The process
    "unsupported": "error",
    "untested": "note",
    "uwsgi-threads": "error",
    "uwsgi-unknown": "note",
    "agent-skywalking": "warning",
    "agents-beside": "note",
    "tracer": "warning",
    # The app
    "not-instrumented": "error",
    "not-served": "error",
    "not-outermost": "warning",
    "twice": "warning",
    "off": "warning",
    # The settings
    "setting-invalid": "error",
    "settings-differ": "error",
    "service-name-missing": "error",
    "service-name-default": "warning",
    "profiling-off": "warning",
    "token-in-clear": "warning",
    # The backend
    "name-unknown": "error",
    "refused": "error",
    "unreachable": "error",
    "timeout": "error",
    "silent": "error",
    "http-port": "error",
    "not-grpc": "error",
    "tls-expected": "error",
    "tls-not-spoken": "error",
    "tls-authority": "error",
    "tls-expired": "error",
    "tls-not-yet": "error",
    "tls-name": "error",
    "tls-client": "error",
    "tls-files": "error",
    "tls-failed": "error",
    "token-missing": "error",
    "token-refused": "error",
    "call-refused": "error",
    "proxy": "error",
}
"""What can be found, and how bad it is; docs/check.md has each with its mend."""


class CheckError(Exception):
    """It cannot be found out: an app cannot be loaded, or a file read. The message says why, and where."""


class Finding(NamedTuple):
    """Something that was found.

    Attributes:
        id: a key of ``SEVERITIES``; it stays from version to version.
        severity: how bad it is.
        message: what is so.
        mend: what to do; empty where nothing needs to be done.
        subject: the app or the backend that it is about; empty: the process.
    """

    id: str
    severity: Severity
    message: str
    mend: str = ""
    subject: str = ""


def finding(id_: str, message: str, mend: str = "") -> Finding:
    """One with the severity that it has by its id."""
    return Finding(id_, SEVERITIES[id_], message, mend)
