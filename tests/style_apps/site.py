"""A Django site: streaming responses by themselves, and views for where it is mounted in another app."""

from __future__ import annotations

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path

from tests.style_apps.work import Work, asked

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    MIDDLEWARE=["swprof_mw.django.SWProfilerMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests only",
    SWPROF={"service_name": "django-stream"},
)


def work(request: HttpRequest) -> Work:
    """What this request asks for."""
    return asked(request.path, request.META["QUERY_STRING"])


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """For WSGI."""
    return StreamingHttpResponse(work(request).chunks())


async def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    """For ASGI."""
    return StreamingHttpResponse(work(request).chunks_async())


def view(request: HttpRequest) -> HttpResponse:
    """On a thread."""
    return HttpResponse(work(request).whole())


async def view_async(request: HttpRequest) -> HttpResponse:
    """In a task."""
    return HttpResponse(await work(request).whole_async())


_VIEWS = {
    "django-stream": stream,
    "django-stream-async": stream_async,
    # Below a mount.
    "sync": view,
    "async": view_async,
}
urlpatterns = [path(f"{name}/{end}", view) for name, view in _VIEWS.items() for end in ("own", "other")]
wsgi = get_wsgi_application()
asgi = get_asgi_application()
with override_settings(MIDDLEWARE=[]):
    #: Without our middleware.
    bare_asgi = get_asgi_application()
