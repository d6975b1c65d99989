"""A shop in Django, in one file. Run it here: ``gunicorn --bind 127.0.0.1:8000 django_app:application``."""

import shop
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(
    MIDDLEWARE=["swprof_mw.django.SWProfilerMiddleware"],
    SWPROF={"service_name": "shop-django"},
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
)


def order(request: HttpRequest, order_id: int) -> JsonResponse:
    """An order that takes its time, and says where it went."""
    watch = shop.Stopwatch()
    price = shop.compute_prices(order_id, shop.PRICE_DAYS)
    watch.lap("compute_prices")
    stock = shop.query_stock(order_id, shop.STOCK_DAYS)
    watch.lap("query_stock")
    payment = shop.wait_for_payment(order_id)
    watch.lap("wait_for_payment")
    answer = {"order": order_id, "price": price, "stock": stock, "payment": payment, "seconds": watch.seconds()}
    return JsonResponse(answer)


def index(request: HttpRequest) -> JsonResponse:
    """The front page."""
    return JsonResponse({"shop": "django"})


def health(request: HttpRequest) -> JsonResponse:
    """Whether the shop is open."""
    return JsonResponse({"status": "ok"})


urlpatterns = [path("orders/<int:order_id>", order), path("", index), path("health", health)]
application = get_wsgi_application()
