"""Routes of each kind."""

from __future__ import annotations

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.http import HttpRequest
from django.urls import include, path, re_path
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import ViewSet

from tests.django_project import views
from tests.django_project.views import ok


class Things(ViewSet):  # type: ignore[misc]
    """A resource of the REST framework."""

    authentication_classes = ()
    permission_classes = ()

    def list(self, request: HttpRequest, format: str | None = None) -> Response:
        """All of them."""
        return Response([])

    def retrieve(self, request: HttpRequest, pk: str, format: str | None = None) -> Response:
        """One of them."""
        return Response({})


router = DefaultRouter()
router.register("things", Things, basename="thing")

inner = [path("<slug:s>/", ok), path("", ok), re_path(r"^deep/(?P<n>[0-9]{1,3})$", ok)]

urlpatterns = [
    path("", ok),
    path("hello/<int:x>/", ok),
    path("users/<int:uid>", ok),
    path("files/<path:name>", ok),
    path("item/<int:i>/", views.Item.as_view()),
    path("c++/<int:x>", ok),
    path("later/<int:x>", views.later),
    path("gone/<int:x>/", views.gone),
    path("denied", views.denied),
    path("fail", views.fail),
    path("fail_later", views.fail_later),
    path("probe/<int:x>", views.probe),
    path("probe_later/<int:x>", views.probe_later),
    path("busy", views.busy),
    path("busy_later", views.busy_later),
    path("never", views.never),
    path("stream", views.streaming(views.chunks)),
    path("stream_later", views.streaming(views.chunks_later)),
    path("broken", views.streaming(views.failing_chunks)),
    path("broken_later", views.streaming(views.failing_chunks_later)),
    path("endless", views.streaming(views.endless)),
    path("file", views.file),
    path("template", views.template),
    path("one/<uuid:key>/", include((inner, "parts"), namespace="one")),
    path("two/", include((inner, "parts"), namespace="two")),
    re_path(r"^v(?P<ver>\d+)/inner/", include(inner)),
    re_path(r"^articles/(?P<year>[0-9]{4})/$", ok),
    re_path(r"^unnamed/(\w+)/(\d+)/(x|y)/$", ok),
    re_path(r"^either/(?:left|right)/$", ok),
    re_path(r"^blog/(?:page-(?P<page>\d+)/)?$", ok),
    re_path(r"^bracket/(?P<x>[^\)]+)/end$", ok),
    re_path(r"^report\.(?P<kind>pdf|html)$", ok),
    re_path(r"^(?!secret)look/(?P<rest>.*)$", ok),
    re_path(r"^any/.*$", ok),
    re_path(r"^year/\d{4}/$", ok),
    re_path("plain/regex", ok),
    path("api/", include(router.urls)),
    path("admin/", admin.site.urls),
    *i18n_patterns(path("local/<int:x>/", ok)),
]
