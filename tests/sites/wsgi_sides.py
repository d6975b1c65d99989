"""For WSGI servers: each site twice, without us and with. The request's header ``X-Side`` says which one answers.

As a program this is wsgiref's own server: ``python -m tests.sites.wsgi_sides PORT``.
"""

from __future__ import annotations

import sys
from typing import Any
from wsgiref import simple_server

from swprof_mw.application import Application
from swprof_mw.flask import SWProfiler
from swprof_mw.wsgi.entry import WSGIEntry
from tests.sites import django_site, flask_site, odd_wsgi
from tests.sites.common import LAST
from tests.sites.control import control

_flask = flask_site.make_site()
_settings = django_site.settings()
_settings.enable()

_SITES: dict[str, tuple[Any, Any]] = {
    "flask": (_flask.wsgi_app, SWProfiler(_flask, service_name="site")),
    "django": (django_site.make_wsgi(with_us=False), django_site.make_wsgi(with_us=True)),
    "odd": (odd_wsgi.application, WSGIEntry(Application(1, {"service_name": "site"}), odd_wsgi.application)),
}


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """The first part of the path says which site; the rest is the site's own."""
    path = environ["PATH_INFO"]
    site = path.split("/")[1] if path.startswith("/") else ""
    if site == "-":
        content = control(path)
        start_response("200 OK", [("Content-Length", str(len(content)))])
        return [content]
    environ["PATH_INFO"] = path[len(site) + 1 :] if site in _SITES else path
    LAST.set("nothing")  # a server's thread may have answered for the other side before
    pair = _SITES.get(site, _SITES["odd"])
    return pair[environ.get("HTTP_X_SIDE") == "with"](environ, start_response)


if __name__ == "__main__":
    simple_server.make_server("127.0.0.1", int(sys.argv[1]), application).serve_forever()
