"""Other agents and profilers in this process, as far as they are at work by now."""

from __future__ import annotations

import sys
import threading

#: By a module that is imported where they are. That they are not in our way is tested (make test-agents).
_HARMLESS = {
    "ddtrace": "Datadog",
    "elasticapm": "Elastic APM",
    "newrelic.agent": "New Relic",
    "opentelemetry.instrumentation": "OpenTelemetry",
    "pyinstrument": "pyinstrument",
    "pyroscope": "Pyroscope",
    "sentry_sdk": "Sentry",
}


def official_agent_runs() -> bool:
    """Whether SkyWalking's own agent was started, here or in a process that this one was forked from."""
    agent = getattr(sys.modules.get("skywalking.agent"), "agent", None)
    return getattr(agent, "started_pid", None) is not None


def is_traced() -> bool:
    """Whether a debugger or the like traces this thread, or those that begin: others do not see their variables."""
    return sys.gettrace() is not None or threading.gettrace() is not None


def harmless() -> list[str]:
    """The names of those that are here, and not in our way."""
    return sorted(name for module, name in _HARMLESS.items() if module in sys.modules)
