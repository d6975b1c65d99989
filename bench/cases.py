"""What accuracy is measured on: servers, apps and styles of code."""

from __future__ import annotations

from dataclasses import dataclass

WSGI_SERVERS = ("waitress", "gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent")
ASGI_SERVERS = ("uvicorn", "uvicorn-uvloop", "hypercorn")
WSGI_APPS = (("flask", "bench.apps.flask_app:app"), ("django", "bench.apps.django_app:wsgi"))
ASGI_APPS = (
    ("django", "bench.apps.django_app:asgi"),
    ("starlette", "bench.apps.starlette_app:app"),
    ("fastapi", "bench.apps.fastapi_app:app"),
)
STYLES = ("sync", "async")
#: Async views under gevent cannot run side by side at all: asgiref refuses a second event loop on a thread.
IMPOSSIBLE = (("gunicorn-gevent", "async"),)


@dataclass(frozen=True)
class Case:
    """One server with one app, and the style of its endpoints."""

    server: str
    framework: str
    target: str
    style: str

    def __str__(self) -> str:
        return f"{self.server}-{self.framework}-{self.style}"

    @property
    def own(self) -> str:
        """The endpoint, and path, that is profiled."""
        return f"/own/{self.style}"

    @property
    def other(self) -> str:
        """The path of the requests beside it."""
        return f"/other/{self.style}"

    @property
    def waits_on_thread(self) -> bool:
        """Whether the profiled endpoint waits on a thread, not suspended in a task."""
        return self.style == "sync"


CASES = tuple(
    Case(server, framework, target, style)
    for servers, apps in ((WSGI_SERVERS, WSGI_APPS), (ASGI_SERVERS, ASGI_APPS))
    for server in servers
    for framework, target in apps
    for style in STYLES
    if (server, style) not in IMPOSSIBLE
)

#: One of each kind, for a run that has to be short.
SHORT = (
    "waitress-flask-sync",
    "gunicorn-gthread-django-sync",
    "gunicorn-gevent-flask-sync",
    "uvicorn-fastapi-async",
    "uvicorn-uvloop-starlette-sync",
    "hypercorn-django-async",
)
