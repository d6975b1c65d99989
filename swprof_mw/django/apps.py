"""The Django app, for its system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register

from swprof_mw.django.checks import check_middleware, check_process, check_settings, check_token


class SWProfilerConfig(AppConfig):  # type: ignore[misc]
    """``"swprof_mw.django"`` in ``INSTALLED_APPS``."""

    name = "swprof_mw.django"
    label = "swprof_mw"
    verbose_name = "SkyWalking profiling"

    def ready(self) -> None:
        """Register the checks."""
        register(check_settings)
        register(check_middleware)
        register(check_process)
        register(check_token, Tags.security, deploy=True)
