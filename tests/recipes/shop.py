"""What the apps of the docs import: a module of the reader's own."""

from __future__ import annotations

from tests.sampled import work_until_sampled

#: An order that there is; one whose price fails; one whose price takes until it has been sampled.
ORDER, FAILS, SLOW = "7", "13", "8"


def price(order_id: str) -> str:
    """The answer to a request."""
    if order_id == FAILS:
        raise ValueError("no price")
    if order_id == SLOW:
        work_until_sampled()
    return f"price of {order_id}"
