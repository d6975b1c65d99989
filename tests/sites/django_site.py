"""A Django site: views of each kind, with or without our middleware. Importing it configures Django."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from tests import django_project

# isort: split
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import include, path, re_path

from tests.sites.common import Failure, chunks, file, private, visit


def index(request: HttpRequest) -> HttpResponse:
    """What came in."""
    told = [request.method, request.path, request.META.get("QUERY_STRING"), dict(request.COOKIES)]
    return JsonResponse([told, request.body.decode("latin-1"), request.headers.get("X-Any")], safe=False)


def item(request: HttpRequest, x: int, rest: str) -> HttpResponse:
    """A parameter, a cookie."""
    answer = HttpResponse(f"{x} {rest} after {visit(request.path)}")
    answer.set_cookie("seen", str(x))
    return answer


async def later(request: HttpRequest, word: str) -> HttpResponse:
    """A coroutine view."""
    return HttpResponse(word)


def stop(request: HttpRequest, code: int) -> HttpResponse:
    """Errors that Django answers for."""
    if code == 403:
        raise PermissionDenied
    if code == 404:
        raise Http404
    return HttpResponse(status=code)


def fail(request: HttpRequest) -> HttpResponse:
    """An error."""
    raise Failure(request.path)


def secret(request: HttpRequest, word: str) -> HttpResponse:
    """A view with secrets."""
    given = {"query": request.META["QUERY_STRING"], "body": request.body.decode(), **request.COOKIES}
    return HttpResponse(
        private({**given, **{name.lower(): value for name, value in request.headers.items()}, "word": word})
    )


def stream(request: HttpRequest, count: int) -> StreamingHttpResponse:
    """Chunks."""
    return StreamingHttpResponse(chunks(count))


def broken(request: HttpRequest, count: int) -> StreamingHttpResponse:
    """A stream that breaks."""
    return StreamingHttpResponse(chunks(count, fails=True))


async def _slowly(count: int, fails: bool) -> AsyncIterator[bytes]:
    for chunk in chunks(count, fails):
        yield chunk


async def stream_later(request: HttpRequest, count: int) -> StreamingHttpResponse:
    """Chunks of an asynchronous generator."""
    return StreamingHttpResponse(_slowly(count, fails=False))


async def broken_later(request: HttpRequest, count: int) -> StreamingHttpResponse:
    """One that breaks."""
    return StreamingHttpResponse(_slowly(count, fails=True))


def whole(request: HttpRequest) -> FileResponse:
    """A file."""
    return FileResponse(open(file(), "rb"))


urlpatterns = [
    path("", index),
    path("items/<int:x>/<path:rest>", item),
    path("later/<word>", later),
    path("abort/<int:code>", stop),
    path("fail", fail),
    path("away/", index),
    path("private/<word>", secret),
    path("stream/<int:count>", stream),
    path("broken/<int:count>", broken),
    path("stream_later/<int:count>", stream_later),
    path("broken_later/<int:count>", broken_later),
    path("file", whole),
    re_path(r"^part/(?P<word>[^/]+)/", include([path("here", later)])),
]

_SETTINGS: dict[str, Any] = {"ROOT_URLCONF": __name__, "DEBUG_PROPAGATE_EXCEPTIONS": False}


def settings(**more: Any) -> Any:
    """A context manager: Django is set up for this site."""
    return override_settings(**_SETTINGS, **more)


def middleware(with_us: bool) -> list[str]:
    """Django's setting ``MIDDLEWARE``."""
    return [name for name in django_project.MIDDLEWARE if with_us or name != django_project.OURS]


def make_wsgi(with_us: bool) -> WSGIHandler:
    """The site for a WSGI server; to be called within `settings`."""
    with settings(MIDDLEWARE=middleware(with_us)):
        return WSGIHandler()


def make_asgi(with_us: bool) -> ASGIHandler:
    """The site for an ASGI server; to be called within `settings`."""
    with settings(MIDDLEWARE=middleware(with_us)):
        return ASGIHandler()
