"""The names of a Flask app's endpoints: one row a case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, abort, redirect, request
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from swprof_mw.flask import SWProfiler
from tests.recorded import Recorded
from tests.sampled import spend
from tests.wsgi_client import ask

UNMATCHED = "<unmatched>"


def ok(**_: object) -> str:
    """A view."""
    return "ok"


def slow(**_: object) -> str:
    """A view that takes long enough to be sampled."""
    spend(0.05)
    return "ok"


async def later(**_: object) -> str:
    """A view that is a coroutine function."""
    return "ok"


def gone(**_: object) -> str:
    """A view that knows better than its route."""
    abort(404)


def fail(**_: object) -> str:
    """A view that fails."""
    raise ValueError("view")


class Item(MethodView):
    """One class, two methods."""

    def get(self, **_: object) -> ResponseReturnValue:
        """Read."""
        return "ok"

    def put(self, **_: object) -> ResponseReturnValue:
        """Write."""
        return Response(status=204)


def add_blueprints(app: Flask) -> None:
    """One in another, with parameters in their prefixes."""
    outer = Blueprint("outer", __name__, url_prefix="/api/<tenant>")
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    inner.add_url_rule("/thing/<int:i>", view_func=ok)
    outer.register_blueprint(inner)
    outer.add_url_rule("/", "root", ok)
    app.register_blueprint(outer)
    app.register_blueprint(inner, url_prefix="/again", name="again")


def make_app(**options: Any) -> Flask:
    """An app with a route of each kind."""
    app = Flask("shop", static_folder=None, **options)
    app.add_url_rule("/", "index", ok)
    app.add_url_rule("/users/<int:uid>", "user", ok)
    app.add_url_rule("/persons/<string(length=2):code>", "user", ok)
    app.add_url_rule("/files/<path:name>", "file", ok)
    app.add_url_rule("/any/<any(a, b):one>", "any", ok)
    app.add_url_rule("/uuid/<uuid:key>", "uuid", ok)
    app.add_url_rule("/slash/", "slash", ok)
    app.add_url_rule("/moved", "moved", redirect_to="/")
    app.add_url_rule("/old/<int:page>", "page", ok, defaults=None)
    app.add_url_rule("/pages/", "pages", ok, defaults={"page": 1})
    app.add_url_rule("/pages/<int:page>", "pages", ok)
    app.add_url_rule("/later/<int:x>", "later", later)
    app.add_url_rule("/gone/<x>", "gone", gone)
    app.add_url_rule("/fail/<x>", "fail", fail)
    app.add_url_rule("/go", "go", lambda: redirect("/"))
    app.add_url_rule("/caf\u00e9/<x>", "cafe", ok)
    app.add_url_rule("/items/<int:i>", view_func=Item.as_view("item"))
    add_blueprints(app)
    return app


def shop() -> Flask:
    """The app, instrumented."""
    app = make_app()
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]
    return app


CASES = [
    ("GET /", "200", "/"),
    ("GET /users/7?x=1", "200", "/users/<int:uid>"),
    ("HEAD /users/7", "200", "/users/<int:uid>"),
    ("OPTIONS /users/7", "200", "/users/<int:uid>"),
    ("GET /persons/ab", "200", "/persons/<string(length=2):code>"),
    ("GET /files/a/b/c", "200", "/files/<path:name>"),
    ("GET /any/a", "200", "/any/<any(a, b):one>"),
    ("GET /slash/", "200", "/slash/"),
    ("GET /pages/", "200", "/pages/"),
    ("GET /pages/2", "200", "/pages/<int:page>"),
    ("GET /later/1", "200", "/later/<int:x>"),
    ("GET /gone/1", "404", "/gone/<x>"),
    ("GET /fail/1", "500", "/fail/<x>"),
    ("GET /go", "302", "/go"),
    ("GET /caf%C3%A9/1", "200", "/café/<x>"),
    ("GET /items/1", "200", "/items/<int:i>"),
    ("PUT /items/1", "204", "/items/<int:i>"),
    ("GET /api/acme/inner/thing/3", "200", "/api/<tenant>/inner/thing/<int:i>"),
    ("GET /api/acme/", "200", "/api/<tenant>/"),
    ("GET /again/thing/3", "200", "/again/thing/<int:i>"),
    ("GET /nothing", "404", UNMATCHED),
    ("GET /users/x", "404", UNMATCHED),
    ("GET /uuid/x", "404", UNMATCHED),
    ("POST /users/7", "405", UNMATCHED),
    ("DELETE /items/1", "405", UNMATCHED),
    ("GET /slash", "308", UNMATCHED),
    ("GET /pages/1", "308", UNMATCHED),
    ("GET /moved", "308", UNMATCHED),
]


@pytest.mark.parametrize(("asked", "status", "name"), CASES, ids=[case[0] for case in CASES])
def test_a_request_is_named_by_its_route(recorded: Recorded, asked: str, status: str, name: str) -> None:
    method, path = asked.split()
    assert ask(shop(), path, method).status[:3] == status
    assert [segment.operation for segment in recorded.segments] == [name]


def inside(app: Flask) -> None:
    """The dispatcher is in the app, the middleware around it."""
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/sub": make_app().wsgi_app})  # type: ignore[method-assign]
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]


def outside(app: Flask) -> None:
    """The dispatcher is around an app with the middleware, and so is another one below it."""
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/sub": shop().wsgi_app})  # type: ignore[method-assign]


def behind_a_proxy(app: Flask) -> None:
    """Something in between gives the app another mount than the server did."""
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)  # type: ignore[method-assign]
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]


def without_signals(app: Flask) -> None:
    """As with Flask 2.2 where blinker is missing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("swprof_mw.flask.hooks.request_started", NoSignal())
        app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]


class NoSignal:
    """What Flask 2.2 has in place of a signal."""

    def connect(self, _: object, weak: bool) -> None:
        """Refuse."""
        raise RuntimeError


def with_routes_added_later(app: Flask) -> None:
    """A route that comes after the middleware."""
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]
    app.add_url_rule("/new/<x>", "new", ok)


def with_static_files(app: Flask) -> None:
    """Flask's own route."""
    app.add_url_rule("/static/<path:filename>", "static", ok)
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]


def naming_the_method(app: Flask) -> None:
    """Names with the method in them."""
    app.wsgi_app = SWProfiler(app, endpoint_format="{method}:{route}")  # type: ignore[method-assign]


WRAPPED: list[tuple[Callable[[Flask], None], str, dict[str, str], str]] = [
    (inside, "/users/7", {}, "/users/<int:uid>"),
    (inside, "/sub/users/7", {}, "/sub/users/<int:uid>"),
    (inside, "/sub/nothing", {}, UNMATCHED),
    (outside, "/users/7", {}, "/users/<int:uid>"),
    (outside, "/sub/users/7", {}, "/sub/users/<int:uid>"),
    (outside, "/users/7", {"SCRIPT_NAME": "/app"}, "/app/users/<int:uid>"),
    (behind_a_proxy, "/users/7", {"HTTP_X_FORWARDED_PREFIX": "/pre"}, "/pre/users/<int:uid>"),
    (without_signals, "/users/7", {}, "/users/<int:uid>"),
    (without_signals, "/nothing", {}, UNMATCHED),
    (with_routes_added_later, "/new/x", {}, "/new/<x>"),
    (with_static_files, "/static/a/b.css", {}, "/static/<path:filename>"),
    (naming_the_method, "/users/7", {}, "GET:/users/<int:uid>"),
    (naming_the_method, "/nothing", {}, f"GET:{UNMATCHED}"),
]


@pytest.mark.parametrize(("wrap", "path", "environ", "name"), WRAPPED)
def test_mounts_are_part_of_the_name(
    recorded: Recorded, wrap: Callable[[Flask], None], path: str, environ: dict[str, str], name: str
) -> None:
    app = make_app()
    wrap(app)
    ask(app, path, **environ)
    assert [segment.operation for segment in recorded.segments] == [name]


@pytest.mark.parametrize(
    ("host", "name"), [("shop.test", "/"), ("api.shop.test", "/<int:x>"), ("other.test", UNMATCHED)]
)
def test_hosts_and_subdomains_are_not(recorded: Recorded, host: str, name: str) -> None:
    app = Flask("shop", host_matching=True, static_host="shop.test")
    app.add_url_rule("/", "root", ok, host="shop.test")
    app.add_url_rule("/<int:x>", "x", ok, host="<name>.shop.test")
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]
    ask(app, "/" if name == "/" else "/3", HTTP_HOST=host)
    assert recorded.last.operation == name


def test_a_call_to_another_app_leaves_the_name(recorded: Recorded) -> None:
    app, other = make_app(), shop()
    app.add_url_rule("/calls/<x>", "calls", lambda x: ask(other, "/users/7").body)
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]
    assert ask(app, "/calls/1").body == b"ok"
    assert [segment.operation for segment in recorded.segments] == ["/calls/<x>"]


@pytest.mark.parametrize("profiled", [False, True], ids=["no task", "a task"])
@pytest.mark.parametrize(("path", "name"), [("/parts/3", "/parts/<int:x>"), ("/parts/nothing", "/parts/<path:rest>")])
def test_an_instrumented_app_within_a_view_names_what_it_has_a_route_for(
    recorded: Recorded, path: str, name: str, profiled: bool
) -> None:
    app, other = make_app(), Flask("parts")
    other.add_url_rule("/parts/<int:x>", "part", slow)
    other.register_error_handler(404, lambda _: (slow(), 404))
    other.wsgi_app = SWProfiler(other)  # type: ignore[method-assign]
    app.add_url_rule("/parts/<path:rest>", "hand_over", lambda rest: Response.from_app(other.wsgi_app, request.environ))
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]
    ask(app, "/")
    if profiled:
        recorded.profile(name)
    assert ask(app, path).status == ("200 OK" if name == "/parts/<int:x>" else "404 NOT FOUND")
    assert [segment.operation for segment in recorded.segments] == ["/", name]
    assert bool(recorded.snapshots) is profiled


@pytest.mark.parametrize("profiled", [False, True], ids=["no task", "a task"])
def test_any_other_app_within_a_view_is_the_views_own_work(recorded: Recorded, profiled: bool) -> None:
    app, other = make_app(), Flask("parts")
    other.add_url_rule("/parts/<int:x>", "part", slow)
    other.register_error_handler(404, lambda _: (slow(), 404))
    app.add_url_rule("/parts/<path:rest>", "hand_over", lambda rest: Response.from_app(other.wsgi_app, request.environ))
    app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]
    ask(app, "/")
    if profiled:
        recorded.profile("/parts/<path:rest>")
    ask(app, "/parts/3")
    assert recorded.last.operation == "/parts/<path:rest>"
    assert bool(recorded.snapshots) is profiled
