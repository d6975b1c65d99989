"""What the three example shops have in common: an order that takes about 300 ms, and knows where they went.

Pricing it in pure Python takes about 35 % of the time, asking SQLite for the stock 25 %, waiting for the payment 40 %.
"""

import sqlite3
import statistics
import threading
import time

PRICE_SECONDS = 0.105
STOCK_SECONDS = 0.075
PAYMENT_SECONDS = 0.120
TRIALS = 120
TRIAL_PRICE_DAYS = 15_000
TRIAL_STOCK_DAYS = 200

DISCOUNTS = (3, 5, 8, 13, 21)
SCHEMA = """
    CREATE TABLE stock (product INTEGER, pieces INTEGER, sold_a_day INTEGER);
    WITH RECURSIVE lot(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM lot WHERE n < 999)
    INSERT INTO stock SELECT n % 10, 100 + n % 7, n % 3 FROM lot;
"""
LOWEST_STOCK = """
    WITH RECURSIVE day(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM day WHERE n < :days - 1)
    SELECT min((SELECT sum(pieces - sold_a_day * (day.n % 30)) FROM stock WHERE product = :product)) FROM day
"""

_connections = threading.local()


def compute_prices(order_id: int, days: int) -> int:
    """The lowest price of an order, in cents, over the coming days."""
    lowest = 1_000_000
    for day in range(days):
        price = 10_000 + order_id % 1000
        for discount in DISCOUNTS:
            if (order_id + day) % discount == 0:
                price -= price * discount // 100
        lowest = min(lowest, price)
    return lowest


def query_stock(order_id: int, days: int) -> int:
    """How many pieces of the order's product there will be, at the least, on the coming days."""
    parameters = {"product": order_id % 10, "days": days}
    (pieces,) = _stock().execute(LOWEST_STOCK, parameters).fetchone()
    return int(pieces)


def wait_for_payment(order_id: int) -> str:
    """Wait until the bank has answered."""
    time.sleep(PAYMENT_SECONDS)
    return f"order {order_id} is paid"


def _stock() -> sqlite3.Connection:
    """The stock's database, in memory: one for each thread, since SQLite would let only one at a time ask."""
    if not hasattr(_connections, "stock"):
        _connections.stock = sqlite3.connect(":memory:", check_same_thread=False)
        _connections.stock.executescript(SCHEMA)
    connection: sqlite3.Connection = _connections.stock
    return connection


class Stopwatch:
    """How long each part of a request has taken, in seconds."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._began = self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """The time since the lap before belongs to ``part``."""
        now = time.perf_counter()
        self._seconds[part] = now - self._last
        self._last = now

    def seconds(self) -> dict[str, float]:
        """The laps by their names, and ``total``."""
        return {**self._seconds, "total": self._last - self._began}


def calibrate() -> tuple[int, int]:
    """How many days keep `compute_prices` and `query_stock` busy for their seconds on this machine, usually.

    It takes about a second: a virtual machine is now faster, now slower, and the middle of many trials is what it is
    most of the time. The CPU's time counts, since other processes may be starting at this moment as well.
    """
    prices = []
    stocks = []
    for order_id in range(TRIALS):
        began = time.thread_time()
        compute_prices(order_id, TRIAL_PRICE_DAYS)
        between = time.thread_time()
        query_stock(order_id, TRIAL_STOCK_DAYS)
        prices.append(between - began)
        stocks.append(time.thread_time() - between)
    price_days = TRIAL_PRICE_DAYS * PRICE_SECONDS / statistics.median(prices)
    stock_days = TRIAL_STOCK_DAYS * STOCK_SECONDS / statistics.median(stocks)
    return round(price_days), round(stock_days)


PRICE_DAYS, STOCK_DAYS = calibrate()
