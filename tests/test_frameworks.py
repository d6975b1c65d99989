"""The apps of docs/frameworks.md do what the page says: named by their routes, failures told, sampled for a task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import bottle
import litestar
import pytest
import quart
from litestar.middleware import DefineMiddleware
from pyramid.config import Configurator
from pyramid.events import ContextFound
from quart import Quart

import swprof_mw
from swprof_mw import asgi
from swprof_mw.names import UNMATCHED
from swprof_mw.wsgi import SWProfilerMiddleware
from tests import asgi_driver, recipes, snippets
from tests.recorded import Recorded
from tests.wsgi_client import ask

PAGE = "frameworks.md"


class Recipe(NamedTuple):
    """One app of the page.

    Attributes:
        heading: of its section.
        number: of its snippets there, from 0 on; of a Django site all.
        server: how it is asked.
        endpoint: the name that its route has.
        component: SkyWalking's id of its framework.
        raises: whether what it leaves unhandled reaches the server.
    """

    heading: str
    number: int
    server: str
    endpoint: str
    component: int
    raises: bool = False


RECIPES = [
    Recipe("Flask", 0, "wsgi", "/orders/<order_id>", 7001),
    Recipe("Django", 0, "wsgi", "/orders/<order_id>", 7004),
    Recipe("Django", 0, "asgi", "/orders/<order_id>", 7004),
    Recipe("FastAPI and Starlette", 0, "asgi", "/orders/{order_id}", 7014, raises=True),
    Recipe("Litestar", 0, "asgi", "/orders/{order_id}", 7000),
    Recipe("Quart", 0, "asgi", "/orders/<order_id>", 7000),
    Recipe("Falcon", 0, "wsgi", "/orders/{order_id}", 7012),
    Recipe("Falcon", 1, "asgi", "/orders/{order_id}", 7012),
    Recipe("Bottle", 0, "wsgi", "/orders/<order_id>", 7015),
    Recipe("Pyramid", 0, "wsgi", "/orders/{order_id}", 7009, raises=True),
    Recipe("Any other app", 0, "wsgi", "/orders/{order_id}", 7000, raises=True),
]


def files(recipe: Recipe) -> dict[str, str]:
    """The recipe's code, by the files that it belongs in."""
    found = [snippet for snippet in snippets.of_page(PAGE) if snippet.heading == recipe.heading]
    named = {snippet.file: snippet.code for snippet in found if snippet.file}
    return named or {"app.py": found[recipe.number].code}


def run(recipe: Recipe, directory: Path) -> dict[str, Any]:
    """What becomes of the recipe's requests."""
    for name, code in files(recipe).items():
        (directory / name).write_text(code)
    return recipes.run(recipe.server, directory)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.heading}-{recipe.server}")
def test_an_app_of_the_page_is_profiled(recipe: Recipe, tmp_path: Path) -> None:
    result = run(recipe, tmp_path)
    common = {"service": "shop", "component": recipe.component}
    well, failed, nowhere = result["found"].values()
    assert well == {"status": 200, "reported": "200", "name": recipe.endpoint, "error": False, **common}
    status = None if recipe.raises else 500
    assert failed == {"status": status, "reported": "500", "name": recipe.endpoint, "error": True, **common}
    assert nowhere == {"status": 404, "reported": "404", "name": UNMATCHED, "error": False, **common}
    assert (result["slow"], result["requests"]) == (well, 4)
    assert result["stacks"]
    for stack in result["stacks"]:
        assert stack[0] == recipe.endpoint
    assert any(any("shop.py.price" in line for line in stack) for stack in result["stacks"])


def test_every_app_of_the_page_is_run() -> None:
    run = {(recipe.heading, code) for recipe in RECIPES for code in files(recipe).values()}
    assert {(snippet.heading, snippet.code) for snippet in snippets.of_page(PAGE)} == run


# What the page says beside them.


def test_a_mounted_bottle_app_names_by_the_whole_rule(recorded: Recorded) -> None:
    def name_endpoint(callback: Callable[..., str]) -> Callable[..., str]:
        def named(*args: str, **kwargs: str) -> str:
            swprof_mw.set_endpoint(bottle.request.route.rule)
            return callback(*args, **kwargs)

        return named

    inner, outer = bottle.Bottle(), bottle.Bottle()
    inner.install(name_endpoint)
    inner.get("/orders/<order_id>", callback=lambda order_id: "here")
    outer.mount("/shop/", inner)
    assert ask(SWProfilerMiddleware(outer, service_name="shop"), "/shop/orders/7").body == b"here"
    assert recorded.last.operation == "/shop/orders/<order_id>"


def test_an_included_pyramid_route_names_by_its_whole_pattern(recorded: Recorded) -> None:
    def name_endpoint(event: Any) -> None:
        swprof_mw.set_endpoint(event.request.matched_route.pattern)

    def orders(config: Any) -> None:
        config.add_route("order", "/orders/{order_id}")
        config.add_view(lambda request: "here", route_name="order", renderer="string")

    with Configurator() as config:
        config.add_subscriber(name_endpoint, ContextFound)
        config.include(orders, route_prefix="/shop")
        app = SWProfilerMiddleware(config.make_wsgi_app(), service_name="shop")
    assert ask(app, "/shop/orders/7").body == b"here"
    assert recorded.last.operation == "/shop/orders/{order_id}"


def test_a_quart_websocket_names_by_its_rule(recorded: Recorded) -> None:
    app = Quart("shop")
    app.asgi_app = asgi.SWProfilerMiddleware(app.asgi_app, service_name="shop")  # type: ignore[method-assign]

    @app.before_websocket
    async def name_endpoint() -> None:
        swprof_mw.set_endpoint(quart.websocket.url_rule.rule if quart.websocket.url_rule else None)

    @app.websocket("/rooms/<name>")
    async def room(name: str) -> None:
        await quart.websocket.send(name)

    received = [{"type": "websocket.connect"}]
    exchanged = asgi_driver.call(app, asgi_driver.websocket("/rooms/lobby"), received)
    assert "lobby" in [message.get("text") for message in exchanged.sent]
    assert recorded.last.operation == "/rooms/<name>"


@pytest.mark.parametrize("app", ["asgi_app", "app"])
def test_quart_tells_its_name(recorded: Recorded, app: str) -> None:
    quart_app = Quart("bank")
    wrapped = asgi.SWProfilerMiddleware(quart_app.asgi_app if app == "asgi_app" else quart_app)
    asgi_driver.call(wrapped, asgi_driver.http("/"))
    assert (recorded.last.service, recorded.last.component) == ("bank", 7000)


def test_among_litestar_s_middleware_it_misses_a_404(recorded: Recorded) -> None:
    @litestar.get("/orders", sync_to_thread=False)
    def orders() -> str:
        return "here"

    ours = DefineMiddleware(asgi.SWProfilerMiddleware, service_name="shop")
    app = litestar.Litestar([orders], middleware=[ours])
    statuses = [asgi_driver.call(app, asgi_driver.http(path)).status for path in ("/orders", "/nowhere")]
    assert statuses == [200, 404]
    assert [segment.operation for segment in recorded.segments] == ["/orders"]
