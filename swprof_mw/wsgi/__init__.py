"""Any WSGI app: ``app = SWProfilerMiddleware(app, service_name="shop")``."""

from swprof_mw.wsgi.middleware import SWProfilerMiddleware

__all__ = ["SWProfilerMiddleware"]
