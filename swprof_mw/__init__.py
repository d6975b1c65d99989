"""Middleware that profiles Django, Flask and ASGI apps through Apache SkyWalking.

Importing this package imports neither a web framework nor grpc, and starts nothing.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
