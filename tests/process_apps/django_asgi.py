"""Django's app for ASGI. It has no lifespan."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.process_apps.django_app")
app = get_asgi_application()
