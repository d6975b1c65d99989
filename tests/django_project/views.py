"""Views of each kind."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.views import View

from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import EntrySpan
from tests.sampled import spend

#: What the views below saw, oldest first.
seen: list[Any] = []


def current() -> EntrySpan:
    """The request that the calling code belongs to."""
    span = current_request.get()
    assert isinstance(span, EntrySpan)
    return span


def ok(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
    """The least view."""
    return HttpResponse("ok")


async def later(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """A view that is a coroutine function."""
    return HttpResponse("ok")


def gone(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """A view that knows better than its route."""
    raise Http404


def denied(request: HttpRequest) -> HttpResponse:
    """A view that is not for everybody."""
    raise PermissionDenied


def fail(request: HttpRequest) -> HttpResponse:
    """A view that fails."""
    raise ValueError("secret")


async def fail_later(request: HttpRequest) -> HttpResponse:
    """A coroutine view that fails."""
    await asyncio.sleep(0)
    raise ValueError("secret")


def probe(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Notes its request's name and whether it is sampled."""
    seen.append((current().endpoint, current().profiler is not None))
    return HttpResponse("probed")


async def probe_later(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Notes its request's name and whether it is sampled."""
    return probe(request)


def busy(request: HttpRequest) -> HttpResponse:
    """Takes its time."""
    spend(0.08)
    return HttpResponse("busy")


async def busy_later(request: HttpRequest) -> HttpResponse:
    """Takes its time, half of it asleep."""
    spend(0.05)
    await asyncio.sleep(0.05)
    return HttpResponse("busy")


async def never(request: HttpRequest) -> HttpResponse:
    """Does not answer."""
    seen.append(current())
    await asyncio.Event().wait()
    return HttpResponse()


def chunks() -> Iterator[bytes]:
    """Three, each of which takes its time."""
    seen.append(current())
    for _ in range(3):
        spend(0.03)
        yield b"x"


async def chunks_later() -> AsyncIterator[bytes]:
    """Three, each of which takes its time."""
    seen.append(current())
    for _ in range(3):
        spend(0.02)
        await asyncio.sleep(0.01)
        yield b"x"


def failing_chunks() -> Iterator[bytes]:
    """A stream that breaks."""
    yield b"x"
    raise OSError("disk")


async def failing_chunks_later() -> AsyncIterator[bytes]:
    """A stream that breaks."""
    yield b"x"
    raise OSError("disk")


async def endless() -> AsyncIterator[bytes]:
    """A stream that has one chunk and then nothing."""
    seen.append(current())
    yield b"x"
    await asyncio.Event().wait()


def streaming(make: Callable[[], Any]) -> Callable[[HttpRequest], StreamingHttpResponse]:
    """A view that streams."""
    return lambda request: StreamingHttpResponse(make())


def file(request: HttpRequest) -> FileResponse:
    """A view that sends a file."""
    return FileResponse(io.BytesIO(b"file"), content_type="text/plain")


def template(request: HttpRequest) -> TemplateResponse:
    """A view whose response is rendered later."""
    return TemplateResponse(request, engines["django"].from_string("rendered"))


class Item(View):  # type: ignore[misc]
    """One class, one method."""

    def get(self, request: HttpRequest, **kwargs: object) -> HttpResponse:
        """Read."""
        return HttpResponse("ok")
