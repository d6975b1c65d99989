"""The routes of another host, put in by a middleware."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.django_project.views import ok

urlpatterns = [path("only/here/<int:x>", ok)]


def by_host(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware, of the sync kind only, that chooses the routes by the host."""

    def choose(request: HttpRequest) -> HttpResponse:
        if request.get_host() == "other.test":
            request.urlconf = __name__
        if request.path == "/early":
            return HttpResponse("early", status=401)
        return get_response(request)

    return choose
