"""ASGI apps: Starlette, FastAPI, Litestar, Quart and any other."""

from swprof_mw.asgi.middleware import SWProfilerMiddleware

__all__ = ["SWProfilerMiddleware"]
