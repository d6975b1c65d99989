"""Django, for WSGI (``wsgi``) and ASGI (``asgi``): a sync and an async view of each kind."""

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from bench.apps import work

settings.configure(
    MIDDLEWARE=["swprof_mw.django.SWProfilerMiddleware"],
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1"],
)


def asked(request: HttpRequest) -> work.Order:
    """What this request asks for."""
    return work.order(request.GET.get("burst"), request.GET.get("total"))


def own_sync(request: HttpRequest) -> JsonResponse:
    """The profiled one."""
    return JsonResponse(work.own_work(asked(request)))


async def own_async(request: HttpRequest) -> JsonResponse:
    """The profiled one, asynchronous."""
    return JsonResponse(await work.own_work_async(asked(request)))


def other_sync(request: HttpRequest) -> JsonResponse:
    """One beside it."""
    return JsonResponse(work.other_work(asked(request)))


async def other_async(request: HttpRequest) -> JsonResponse:
    """One beside it, asynchronous."""
    return JsonResponse(await work.other_work_async(asked(request)))


urlpatterns = [
    path("own/sync", own_sync),
    path("own/async", own_async),
    path("other/sync", other_sync),
    path("other/async", other_async),
]
wsgi = get_wsgi_application()
asgi = get_asgi_application()
