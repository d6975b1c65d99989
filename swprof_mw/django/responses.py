"""Django's streaming responses, which go on when the middleware has returned."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from swprof_mw.django.tasks import run_in_task
from swprof_mw.failures import guarded
from swprof_mw.span import FAILED
from swprof_mw.wsgi import Body, Exchange


def follow(exchange: Exchange, response: Any) -> None:
    """End the request now; or, for a streaming response, when it is closed, fails, or is dropped."""
    exchange.status = getattr(response, "status_code", FAILED)
    if not _stays_open(exchange, response):
        exchange.end()


@guarded("following a Django response")
def _stays_open(exchange: Exchange, response: Any) -> bool:
    if not response.streaming:
        return False
    if getattr(response, "file_to_stream", None) is not None:
        # The server may send the file itself, as long as the response keeps it.
        response._resource_closers.append(Body(exchange, ()).close)
    elif response.is_async:
        response.streaming_content = AsyncBody(exchange, response.streaming_content)
    else:
        response.streaming_content = Body(exchange, response.streaming_content)
    return True


class AsyncBody:
    """What Django reads in place of an asynchronous iterator: the same chunks, each made as part of the request.

    The request ends with the last chunk, a failure, or a cancellation; else when Django closes the response; if it
    never does, when the response is dropped.

    Args:
        exchange: the request.
        body: the app's iterator.
    """

    def __init__(self, exchange: Exchange, body: AsyncIterable[bytes]) -> None:
        self._exchange = exchange
        self._iterator = body.__aiter__()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await run_in_task(self._exchange.span, self._iterator.__anext__)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """The response is closed: end the request."""
        self._exchange.end()

    def __del__(self) -> None:
        self.close()
