"""For ASGI servers: each site twice, without us and with. The request's header ``X-Side`` says which one answers."""

from __future__ import annotations

from typing import Any

from swprof_mw.asgi import SWProfilerMiddleware
from tests.sites import django_site, odd_asgi, starlette_site
from tests.sites.common import LAST
from tests.sites.control import control

_settings = django_site.settings()
_settings.enable()
_starlette = starlette_site.make_site()
_inside = starlette_site.make_api()
_inside.add_middleware(SWProfilerMiddleware, service_name="site")

_SITES: dict[str, tuple[Any, Any]] = {
    "starlette": (_starlette, SWProfilerMiddleware(_starlette, service_name="site")),
    "fastapi": (starlette_site.make_api(), _inside),
    "django": (django_site.make_asgi(with_us=False), django_site.make_asgi(with_us=True)),
    "odd": (odd_asgi.application, SWProfilerMiddleware(odd_asgi.application, service_name="site")),
}


async def application(scope: Any, receive: Any, send: Any) -> Any:
    """The first part of the path says which site; the rest is the site's own."""
    if scope["type"] == "lifespan":
        return await _SITES["starlette"][1](scope, receive, send)
    path = scope["path"]
    site = path.split("/")[1] if path.startswith("/") else ""
    if site == "-":
        content = control(path)
        length = (b"content-length", str(len(content)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        return await send({"type": "http.response.body", "body": content})
    scope["path"] = path[len(site) + 1 :] if site in _SITES else path
    LAST.set("nothing")
    pair = _SITES.get(site, _SITES["odd"])
    return await pair[(b"x-side", b"with") in scope["headers"]](scope, receive, send)
