"""The name of the current request, given by the app itself."""

from __future__ import annotations

from swprof_mw.current import current_span


def set_endpoint(name: str | None) -> None:
    """Name the endpoint of the request that the calling code is part of: for an app whose router is not known.

    A running profile task for that name samples the request from here on. Outside of a request, or after its end,
    nothing happens; nor does it ever raise.

    Args:
        name: for example ``/cart/{id}``; a leading slash is added where it has none. The setting ``endpoint_format``
            applies. Use few distinct names: the backend keeps numbers for each. None: the app's router knows no such
            route; all of these requests are called ``<unmatched>``.
    """
    span = current_span()
    if span is not None:
        span.set_endpoint(name)
