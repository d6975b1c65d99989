"""A shop in Flask. Run it here: ``waitress-serve --listen=127.0.0.1:8000 flask_app:app``."""

import shop
from flask import Flask

from swprof_mw.flask import SWProfiler

app = Flask(__name__)
app.wsgi_app = SWProfiler(app, service_name="shop-flask")  # type: ignore[method-assign]


@app.get("/orders/<int:order_id>")
def order(order_id: int) -> dict[str, object]:
    """An order that takes its time, and says where it went."""
    watch = shop.Stopwatch()
    price = shop.compute_prices(order_id, shop.PRICE_DAYS)
    watch.lap("compute_prices")
    stock = shop.query_stock(order_id, shop.STOCK_DAYS)
    watch.lap("query_stock")
    payment = shop.wait_for_payment(order_id)
    watch.lap("wait_for_payment")
    return {"order": order_id, "price": price, "stock": stock, "payment": payment, "seconds": watch.seconds()}


@app.get("/")
def index() -> dict[str, object]:
    """The front page."""
    return {"shop": "flask"}


@app.get("/health")
def health() -> dict[str, object]:
    """Whether the shop is open."""
    return {"status": "ok"}
