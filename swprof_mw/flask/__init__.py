"""Profiles Flask apps: ``SWProfiler(app, service_name="shop")``, or its ``init_app``."""

from swprof_mw.flask.profiler import SWProfiler

__all__ = ["SWProfiler"]
