"""Profiles Django sites: ``MIDDLEWARE = ["swprof_mw.django.SWProfilerMiddleware", ...]``.

As an entry of ``INSTALLED_APPS``, which is optional, ``swprof_mw.django`` adds system checks.
"""

from swprof_mw.django.middleware import SWProfilerMiddleware

__all__ = ["SWProfilerMiddleware"]
