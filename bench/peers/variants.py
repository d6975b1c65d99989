"""How each peer is put into the app: as its documentation says, reporting every request."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.peers import apps
from bench.peers.apps import Run, Shape

BARE, OURS, PROFILED_ONLY, FLOOR = "bare", "ours", "ours, profiled only", "floor"
OFFICIAL, OPENTELEMETRY, SENTRY = "official agent", "OpenTelemetry", "Sentry"

#: What each needs beside the frameworks, and our own requirements.
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    BARE: (),
    OURS: (),
    PROFILED_ONLY: (),
    FLOOR: (),
    OFFICIAL: ("apache-skywalking==1.2.0",),
    OPENTELEMETRY: (
        "opentelemetry-sdk",
        "opentelemetry-exporter-otlp-proto-grpc",
        *(f"opentelemetry-instrumentation-{framework}" for framework in apps.ENDPOINTS),
    ),
    SENTRY: ("sentry-sdk",),
}
SERVICE = "bench"
#: So many requests at a time of one whose sending takes seconds for them.
FEWER = {SENTRY: 50}


@dataclass(frozen=True)
class Sinks:
    """Where what is sent is taken.

    Attributes:
        grpc, http: ports of 127.0.0.1: over gRPC of SkyWalking and OpenTelemetry, over HTTP of Sentry.
        query_interval: seconds between two questions for profile tasks, of those that ask.
    """

    grpc: int
    http: int
    query_interval: int


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Peer:
    """An app with a peer in it.

    Attributes:
        app: of WSGI or ASGI.
        flush: sends all that is still queued, where that does not happen soon by itself.
        chunk: so many requests may be made before that; peers keep only so many.
    """

    app: Any
    flush: Callable[[], object] = field(default=_nothing)
    chunk: int = 1_000

    def requests(self, framework: str, shape: Shape) -> Run:
        """What makes requests to it."""
        return apps.requests(framework, self.app, shape.at_once)


def put_in(variant: str, framework: str, sinks: Sinks, shape: Shape) -> Peer:
    """That framework's app with that peer in it."""
    return _WAYS[variant](framework, sinks, shape)


def modules(variant: str, framework: str) -> tuple[str, ...]:
    """What an app with that peer imports beside its framework."""
    if variant in (OURS, PROFILED_ONLY):
        return (f"swprof_mw.{framework}",) if framework in apps.WSGI else ("swprof_mw.asgi",)
    named = {
        OFFICIAL: ("skywalking.agent", "skywalking.config"),
        OPENTELEMETRY: (
            f"opentelemetry.instrumentation.{framework}",
            "opentelemetry.sdk.trace.export",
            "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
        ),
        SENTRY: ("sentry_sdk",),
    }
    return named.get(variant, ())


def _made(framework: str, shape: Shape) -> Any:
    return getattr(apps, framework)(shape)


def _bare(framework: str, _: Sinks, shape: Shape) -> Peer:
    return Peer(_made(framework, shape))


def _ours(framework: str, sinks: Sinks, shape: Shape, trace_report: str = "all") -> Peer:
    os.environ.update(
        SW_AGENT_NAME=SERVICE,
        SW_AGENT_COLLECTOR_BACKEND_SERVICES=f"127.0.0.1:{sinks.grpc}",
        SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL=str(sinks.query_interval),
        SWPROF_TRACE_REPORT=trace_report,
    )
    if framework == "django":
        return Peer(apps.django(shape, ("swprof_mw.django.SWProfilerMiddleware",)))
    app = _made(framework, shape)
    if framework == "flask":
        from swprof_mw.flask import SWProfiler

        app.wsgi_app = SWProfiler(app)
    else:
        from swprof_mw.asgi import SWProfilerMiddleware

        app.add_middleware(SWProfilerMiddleware)
    return Peer(app)


def _profiled_only(framework: str, sinks: Sinks, shape: Shape) -> Peer:
    return _ours(framework, sinks, shape, "profiled")


def _floor(framework: str, sinks: Sinks, shape: Shape) -> Peer:
    from bench.peers import floor

    wrap = floor.wsgi if framework in apps.WSGI else floor.asgi
    return Peer(wrap(_made(framework, shape), floor.Queue(f"127.0.0.1:{sinks.grpc}")))


def _official(framework: str, sinks: Sinks, shape: Shape) -> Peer:
    agent, config = importlib.import_module("skywalking.agent"), importlib.import_module("skywalking.config")
    config.init(
        agent_collector_backend_services=f"127.0.0.1:{sinks.grpc}",
        agent_name=SERVICE,
        agent_collector_get_profile_task_interval=sinks.query_interval,
        agent_logging_level="ERROR",
    )
    agent.agent.start()
    return Peer(_made(framework, shape))


def _opentelemetry(framework: str, sinks: Sinks, shape: Shape) -> Peer:
    trace = importlib.import_module("opentelemetry.trace")
    sdk = importlib.import_module("opentelemetry.sdk.trace")
    export = importlib.import_module("opentelemetry.sdk.trace.export")
    otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    instrumentation = importlib.import_module(f"opentelemetry.instrumentation.{framework}")
    provider = sdk.TracerProvider()
    exporter = otlp.OTLPSpanExporter(endpoint=f"127.0.0.1:{sinks.grpc}", insecure=True)
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    if framework == "django":
        # What its instrumentor does to settings that are in a file; of itself the middleware has nothing to trace with.
        middleware = "opentelemetry.instrumentation.django.middleware.otel_middleware._DjangoMiddleware"
        app = apps.django(shape, (middleware,))
        instrumentation.DjangoInstrumentor().instrument()
    else:
        app = _made(framework, shape)
        names = {"flask": "FlaskInstrumentor", "starlette": "StarletteInstrumentor", "fastapi": "FastAPIInstrumentor"}
        getattr(instrumentation, names[framework])().instrument_app(app)
    return Peer(app, provider.force_flush)


def _sentry(framework: str, sinks: Sinks, shape: Shape) -> Peer:
    sentry = importlib.import_module("sentry_sdk")
    sentry.init(dsn=f"http://key@127.0.0.1:{sinks.http}/1", traces_sample_rate=1.0)
    return Peer(_made(framework, shape), sentry.flush, chunk=FEWER[SENTRY])


_WAYS: dict[str, Callable[[str, Sinks, Shape], Peer]] = {
    BARE: _bare,
    OURS: _ours,
    PROFILED_ONLY: _profiled_only,
    FLOOR: _floor,
    OFFICIAL: _official,
    OPENTELEMETRY: _opentelemetry,
    SENTRY: _sentry,
}
