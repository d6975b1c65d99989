"""Django: settings, URLs and views in one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.process_apps import work

DEBUG = True
SECRET_KEY = "of the tests"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = __name__
MIDDLEWARE = ["swprof_mw.django.SWProfilerMiddleware"]
SWPROF = {"service_name": "shop"}
USE_TZ = True


def index(request: HttpRequest) -> HttpResponse:
    """The front page."""
    return HttpResponse(work.answer())


def worked(request: HttpRequest) -> HttpResponse:
    """The profiled endpoint."""
    return HttpResponse(work.work())


def split(request: HttpRequest, how: str) -> HttpResponse:
    """Another process."""
    return HttpResponse(work.split(how))


urlpatterns = [path("", index), path("work", worked), path("split/<how>", split)]
