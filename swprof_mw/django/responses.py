"""Django's streaming responses, which go on when the middleware has returned."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any
from weakref import WeakMethod

from django.http import StreamingHttpResponse

from swprof_mw.django.tasks import end_with_task, run_in_task
from swprof_mw.failures import failed, guarded
from swprof_mw.span import FAILED, EntrySpan
from swprof_mw.wsgi.body import Body


def follow(span: EntrySpan, request: Any, response: Any, in_task: bool = False) -> bool:
    """End the request now; or, for a streaming response, when it is closed, fails, or is dropped.

    Args:
        span: the request.
        request: Django's.
        response: Django's.
        in_task: whether the task that runs now is going to send the response.

    Returns:
        True: it has ended, or something is there that will end it.
    """
    try:
        span.status = getattr(response, "status_code", FAILED)
        # Under ASGI a middleware runs on a thread of asgiref's if one below is no coroutine function.
        if (
            getattr(response, "streaming", False)
            and span.is_wanted
            and _stays_open(span, response, in_task or not hasattr(request, "scope"))
        ):
            if in_task:
                end_with_task(span)
            return True
        span.end()
        return True
    except Exception:  # noqa: BLE001
        failed("ending a Django request")
        return False


@guarded("following a Django response")
def _stays_open(span: EntrySpan, response: Any, is_closed: bool) -> bool:
    """Whether the response is going to end the request.

    Args:
        span: the request.
        response: Django's, a streaming one.
        is_closed: False if nobody may tell that the response is done: under ASGI, Django does not close one whose
            client is gone. The request then ends with the last chunk; that of a file, which Django reads, now.
    """
    if getattr(response, "file_to_stream", None) is not None:
        # The server may send the file itself, as long as the response keeps it.
        if is_closed:
            response._resource_closers.append(Body(span, ()).close)
        return is_closed
    if response.is_async:
        response.streaming_content = AsyncBody(span, _content(response))
    else:
        kind = StreamBody if is_closed else LastChunkBody
        response.streaming_content = kind(span, _content(response))
    return True


def _content(response: Any) -> Any:
    """As ``response.streaming_content``, without holding the response, which is to hold this.

    Else one that is dropped would stay until garbage is collected, and its request with it.
    """
    if getattr(type(response), "streaming_content", None) is not StreamingHttpResponse.streaming_content:
        return response.streaming_content
    make: Any = WeakMethod(response.make_bytes)
    if response.is_async:
        return _made(make, response._iterator)
    return map(lambda part: make()(part), response._iterator)  # noqa: C417 - a generator ends with its first failure


async def _made(make: Callable[[], Any], parts: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    async for part in parts:
        yield make()(part)


class StreamBody(Body):
    """What Django reads in place of an iterator. Of one that fails midway it may be the last to hear."""

    __slots__ = ()

    def __next__(self) -> bytes:
        try:
            return super().__next__()
        except BaseException as exception:
            if self._is_end(exception):
                self._span.end()
            raise

    def _is_end(self, exception: BaseException) -> bool:
        return not issubclass(type(exception), StopIteration)


class LastChunkBody(StreamBody):
    """One that nobody may close: the request ends with its last chunk."""

    __slots__ = ()

    def _is_end(self, exception: BaseException) -> bool:
        return True


class AsyncBody:
    """What Django reads in place of an asynchronous iterator: the same chunks, each made as part of the request.

    The request ends with the last chunk, a failure, or a cancellation; else when Django closes the response, or the
    task that reads it has ended; if none of that is ever so, when the response is dropped.

    Args:
        span: the request.
        body: the app's iterator.
    """

    def __init__(self, span: EntrySpan, body: AsyncIterable[bytes]) -> None:
        self._span = span
        self._iterator = body.__aiter__()
        self._is_read = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._is_read:
            self._is_read = True
            end_with_task(self._span)
        try:
            return await run_in_task(self._span, self._iterator.__anext__)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """The response is closed: end the request."""
        self._span.end()

    def __del__(self) -> None:
        self.close()
