# shop.py
import time

from flask import Flask

from swprof_mw.flask import SWProfiler

app = Flask(__name__)
SWProfiler(app, service_name="shop")


def compute_price():
    price = 0
    for day in range(1_000_000):
        price += day % 7
    return price


def wait_for_payment():
    time.sleep(0.1)
    return "paid"


@app.get("/orders/<int:order_id>")
def order(order_id):
    price = compute_price()
    return {"order": order_id, "price": price, "payment": wait_for_payment()}
