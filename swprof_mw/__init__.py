"""Middleware that profiles Django, Flask and ASGI apps through Apache SkyWalking.

Importing this package imports neither a web framework nor grpc, and starts nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swprof_mw.endpoint import set_endpoint
    from swprof_mw.statistics import Stats, stats
    from swprof_mw.tracing import sw8, trace_id

__version__ = "0.1.0"

__all__ = ["Stats", "__version__", "set_endpoint", "stats", "sw8", "trace_id"]

# No name of a module here is one of those: importing that module would put it in the place of the name.
_MODULES = {
    "Stats": "statistics",
    "stats": "statistics",
    "set_endpoint": "endpoint",
    "sw8": "tracing",
    "trace_id": "tracing",
}


if not TYPE_CHECKING:  # for whom no name would be wrong

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first asked for."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return found
