"""Profiles requests of Flask and FastAPI while another agent is at work: ``python -m tests.agents.beside NAME``."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from tests.agents import names

NOWHERE = "http://127.0.0.1:1"
#: Tells what the agent takes the current request for; nothing if for none.
Tell = Callable[[], object]


def alone() -> Tell:
    """No other agent."""
    return lambda: True


def sentry(**options: Any) -> Tell:
    """Sentry, with its tracing and profiler."""
    sdk: Any = importlib.import_module("sentry_sdk")
    sdk.init("http://a@127.0.0.1:1/1", traces_sample_rate=1.0, **options)
    return lambda: sdk.get_current_scope().transaction


def datadog() -> Tell:
    """Datadog, with its profiler."""
    os.environ |= {"DD_TRACE_AGENT_URL": NOWHERE, "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"}
    os.environ |= {"DD_PROFILING_ENABLED": "true", "DD_TRACE_STARTUP_LOGS": "false"}
    importlib.import_module("ddtrace.auto")
    importlib.import_module("ddtrace.profiling.auto")
    tracer: Any = importlib.import_module("ddtrace.trace").tracer
    return lambda: tracer.current_root_span()


def newrelic() -> Tell:
    """New Relic, in the mode that sends nothing."""
    os.environ |= {"NEW_RELIC_LICENSE_KEY": "0" * 40, "NEW_RELIC_DEVELOPER_MODE": "true", "NEW_RELIC_APP_NAME": "shop"}
    agent: Any = importlib.import_module("newrelic.agent")
    agent.initialize()
    agent.register_application(timeout=10)
    return lambda: agent.current_transaction()


def opentelemetry() -> Tell:
    """OpenTelemetry, with its instrumentation of frameworks, threads and asyncio."""
    trace: Any = importlib.import_module("opentelemetry.trace")
    trace.set_tracer_provider(importlib.import_module("opentelemetry.sdk.trace").TracerProvider())
    for name in ("Threading", "Asyncio", "Flask", "FastAPI"):
        instrumentation: Any = importlib.import_module(f"opentelemetry.instrumentation.{name.lower()}")
        getattr(instrumentation, f"{name}Instrumentor")().instrument()
    return lambda: trace.get_current_span().is_recording()


def elastic() -> Tell:
    """Elastic APM; its middleware comes later."""
    apm: Any = importlib.import_module("elasticapm")
    apm.instrument()
    return lambda: apm.get_transaction_id()


def pyroscope() -> Tell:
    """Pyroscope's sampler."""
    importlib.import_module("pyroscope").configure(application_name="shop", server_address=NOWHERE)
    return lambda: True


STARTS: dict[str, Callable[[], Tell]] = {
    "alone": alone,
    "sentry": lambda: sentry(profiles_sample_rate=1.0),
    "sentry-continuous": lambda: sentry(profile_session_sample_rate=1.0, profile_lifecycle="trace"),
    "datadog": datadog,
    "newrelic": newrelic,
    "opentelemetry": opentelemetry,
    "elastic": elastic,
    "pyroscope": pyroscope,
}


def main(name: str) -> None:
    """Start that agent, then our middleware and the apps; print what is seen of the requests."""
    logging.disable(logging.CRITICAL)
    tell = STARTS[name]()  # before anything that it may want to change
    from tests.agents.apps import Apps

    apps = Apps(tell, with_elastic=name == "elastic")
    found = {path: apps.profiled(path) for path in names.FUNCTIONS}
    print(json.dumps({"found": found, "told": apps.told}), flush=True)
    os._exit(0)  # some of them wait for their backend


if __name__ == "__main__":
    main(sys.argv[1])
