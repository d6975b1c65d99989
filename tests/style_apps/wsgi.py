"""WSGI apps whose bodies are streamed after they have returned, each below a path, and as a service, of its name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flask import Flask, request, stream_with_context

from swprof_mw.flask import SWProfiler
from tests.style_apps import site
from tests.style_apps.work import Work, asked


def flask_app(name: str, in_context: bool) -> Flask:
    """A Flask app that streams, with the request's context or without it."""
    app = Flask(name)
    app.wsgi_app = SWProfiler(app, service_name=name)  # type: ignore[method-assign]

    @app.get(f"/{name}/<end>")
    def stream(end: str) -> Any:
        work = asked(request.path, request.query_string)
        return app.response_class(stream_with_context(in_request(work)) if in_context else work.chunks())

    return app


def in_request(work: Work) -> Iterator[bytes]:
    """Chunks that need the request."""
    for chunk in work.chunks():
        assert request.path
        yield chunk


_APPS: dict[str, Any] = {
    "flask-stream": flask_app("flask-stream", in_context=False),
    "flask-stream-in-context": flask_app("flask-stream-in-context", in_context=True),
    "django-stream": site.wsgi,
}


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """All of them."""
    found: Iterable[bytes] = _APPS[environ["PATH_INFO"].split("/")[1]](environ, start_response)
    return found
