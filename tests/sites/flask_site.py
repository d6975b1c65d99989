"""A Flask site: views of each kind."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, Response, abort, jsonify, redirect, request, send_file, stream_with_context

from tests.sites.common import Failure, chunks, file, private, visit


def make_site(name: str = "site") -> Flask:
    """The site, without us."""
    app = Flask(name, static_folder=str(file().parent), static_url_path="/static")
    app.secret_key = "for tests only"
    app.config["PROPAGATE_EXCEPTIONS"] = None
    part = Blueprint("part", name, url_prefix="/part/<word>")
    _add_views(app, part)
    _add_streams(app)
    app.register_blueprint(part)
    return app


def _add_views(app: Flask, part: Blueprint) -> None:
    @app.route("/", methods=["GET", "POST", "PUT", "DELETE", "M-SEARCH"])
    def index() -> Any:
        told = [request.method, request.path, request.full_path, request.args.to_dict(flat=False)]
        return jsonify(told, request.get_data(as_text=True), dict(request.cookies), request.headers.get("X-Any"))

    @app.get("/items/<int:x>/<path:rest>")
    def item(x: int, rest: str) -> Any:
        answer = Response(f"{x} {rest} after {visit(request.path)}")
        answer.set_cookie("seen", str(x))
        answer.headers.add("X-Twice", "one")
        answer.headers.add("X-Twice", "two")
        return answer

    @app.get("/abort/<int:code>")
    def stop(code: int) -> Any:
        abort(code)

    @app.get("/fail")
    def fail() -> Any:
        raise Failure(request.path)

    @app.get("/away/")
    def away() -> Any:
        return redirect("/items/7/x", 303)

    @app.get("/later/<word>")
    async def later(word: str) -> Any:
        return word

    @app.post("/private/<word>")
    def secret(word: str) -> Any:
        given = {"query": request.query_string.decode(), "body": request.get_data(as_text=True), **request.cookies}
        return private({**given, **{name.lower(): value for name, value in request.headers.items()}, "word": word})

    @part.get("/here")
    def here(word: str) -> Any:
        return word


def _add_streams(app: Flask) -> None:
    @app.get("/stream/<int:count>")
    def stream(count: int) -> Any:
        return Response(stream_with_context(chunks(count)))

    @app.get("/broken/<int:count>")
    def broken(count: int) -> Any:
        return Response(chunks(count, fails=True))

    @app.get("/file")
    def whole() -> Any:
        return send_file(file(), conditional=True, etag=True)

    @app.get("/sized")
    def sized() -> Any:
        return Response([b"one", b"two"])
