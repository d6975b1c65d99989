"""A shop in FastAPI. Run it here: ``uvicorn --port 8000 fastapi_app:app``."""

import asyncio

import shop
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from swprof_mw.asgi import SWProfilerMiddleware

app = FastAPI()
app.add_middleware(SWProfilerMiddleware, service_name="shop-fastapi")


@app.get("/orders/{order_id}")
async def order(order_id: int) -> dict[str, object]:
    """An order that takes its time, and says where it went."""
    watch = shop.Stopwatch()
    price = shop.compute_prices(order_id, shop.PRICE_DAYS)
    watch.lap("compute_prices")
    stock = await run_in_threadpool(shop.query_stock, order_id, shop.STOCK_DAYS)
    watch.lap("query_stock")
    payment = await wait_for_payment(order_id)
    watch.lap("wait_for_payment")
    return {"order": order_id, "price": price, "stock": stock, "payment": payment, "seconds": watch.seconds()}


async def wait_for_payment(order_id: int) -> str:
    """Wait until the bank has answered, while other requests run."""
    await asyncio.sleep(shop.PAYMENT_SECONDS)
    return f"order {order_id} is paid"


@app.get("/")
async def index() -> dict[str, object]:
    """The front page."""
    return {"shop": "fastapi"}


@app.get("/health")
async def health() -> dict[str, object]:
    """Whether the shop is open."""
    return {"status": "ok"}
