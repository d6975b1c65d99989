"""The README's lines for each framework, in the least app that a reader would put them into; and asked there."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests import recipes, snippets


class Around(NamedTuple):
    """What is around some lines.

    Attributes:
        server: how the app is asked.
        endpoint: what its route is called.
        before: what stands above them in their file.
        after: what stands below.
    """

    server: str
    endpoint: str
    before: str
    after: str = ""


FLASK = 'app.add_url_rule("/orders/<order_id>", view_func=price)\n'
DJANGO = 'ALLOWED_HOSTS, SECRET_KEY, ROOT_URLCONF = ["*"], "of no use", "urls"\n'
FASTAPI = 'from fastapi import FastAPI\napp = FastAPI()\napp.add_api_route("/orders/{order_id}", price)\n'
WSGI = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [price(environ["PATH_INFO"].removeprefix("/orders/")).encode()]
"""
PRICE = "from shop import price\n"
#: By what their first line begins with.
AROUND = {
    "# Flask": Around("wsgi", "/orders/<order_id>", f"{PRICE}from flask import Flask\napp = Flask(__name__)\n", FLASK),
    "# Django": Around("wsgi", "/orders/<order_id>", DJANGO),
    "# FastAPI": Around("asgi", "/orders/{order_id}", PRICE + FASTAPI),
    "# any WSGI app": Around("wsgi", "/orders/{id}", PRICE + WSGI),
}


def check(snippet: snippets.Snippet, directory: Path) -> None:
    """A request is answered, reported by its route, and sampled."""
    [around] = [found for first, found in AROUND.items() if snippet.code.startswith(first)]
    file = snippet.file or "app.py"
    text = around.before + snippet.code.replace(", ...]", "]") + around.after
    (directory / ("settings.py" if "settings.py" in snippet.code else file)).write_text(text)
    [urls] = [each.code for each in snippets.of_page("frameworks.md") if each.file == "urls.py"]
    (directory / "urls.py").write_text(urls)
    result = recipes.run(around.server, directory)
    well = result["found"]["/orders/7"]
    assert (well["status"], well["name"], well["service"]) == (200, around.endpoint, "shop")
    assert all(stack[0] == around.endpoint for stack in result["stacks"])
    assert any("shop.py.price" in line for stack in result["stacks"] for line in stack)
