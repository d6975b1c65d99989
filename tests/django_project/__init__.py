"""A Django site for tests. Importing it configures Django, which a process can do only once."""

from __future__ import annotations

import django
from django.conf import settings

OURS = "swprof_mw.django.SWProfilerMiddleware"
MIDDLEWARE = [
    OURS,
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "rest_framework",
            "swprof_mw.django",
        ],
        LANGUAGES=[("en", "English"), ("de", "German")],
        LOGGING_CONFIG=None,
        MIDDLEWARE=MIDDLEWARE,
        ROOT_URLCONF="tests.django_project.urls",
        SECRET_KEY="for tests only",
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        SWPROF={"service_name": "shop"},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        USE_I18N=True,
        USE_TZ=True,
    )
    django.setup()
