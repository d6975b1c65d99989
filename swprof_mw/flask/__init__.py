"""Profiles Flask apps: ``app.wsgi_app = SWProfiler(app, service_name="shop")``."""

from swprof_mw.flask.profiler import SWProfiler

__all__ = ["SWProfiler"]
