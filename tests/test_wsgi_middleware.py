"""The middleware for any WSGI app: how it is put in, how its requests are named, and that a task samples them."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

import bottle
import falcon
import pytest
from flask import Flask
from pyramid.config import Configurator

import swprof_mw
from swprof_mw import agent
from swprof_mw.config import ConfigError
from swprof_mw.flask import SWProfiler
from swprof_mw.names import OTHER, UNMATCHED
from swprof_mw.wsgi import SWProfilerMiddleware
from tests.recorded import Recorded
from tests.sampled import work_until_sampled
from tests.wsgi_client import App, ask


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Names the request as its query says."""
    if name := environ["QUERY_STRING"]:
        swprof_mw.set_endpoint(None if name == "none" else name)
    if environ["PATH_INFO"].startswith("/slow"):
        work_until_sampled()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here"]


def named(recorded: Recorded, *paths: str, **settings: Any) -> list[str]:
    """The names that requests of these paths get."""
    traced = SWProfilerMiddleware(app, service_name="shop", **settings)
    for path in paths:
        assert ask(traced, path).body == b"here"
    return [segment.operation for segment in recorded.segments]


# How it is put in


def test_off_gives_back_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SWProfilerMiddleware(app, enabled=False) is app
    monkeypatch.setenv("SWPROF_ENABLED", "off")
    assert SWProfilerMiddleware(app) is app
    assert agent.current() is None


def test_off_leaves_the_one_that_it_gives_back_as_it_is(recorded: Recorded) -> None:
    traced = SWProfilerMiddleware(app, service_name="shop")
    assert SWProfilerMiddleware(traced, service_name="other", enabled=False) is traced
    ask(traced)
    assert (traced.app, recorded.last.service) == (app, "shop")


def test_it_keeps_the_app_that_it_was_given() -> None:
    traced = SWProfilerMiddleware(app, service_name="shop")
    assert isinstance(traced, SWProfilerMiddleware)
    assert traced.app is app


@pytest.mark.parametrize("settings", [{"profile_max_parallel": 0}, {"servicename": "x"}])
def test_a_bad_keyword_is_refused_where_it_is_written(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        SWProfilerMiddleware(app, **settings)


def test_without_a_name_one_line_says_so_and_the_app_runs(caplog: pytest.LogCaptureFixture) -> None:
    traced = SWProfilerMiddleware(app)
    for _ in range(2):
        assert ask(traced).body == b"here"
    [record] = [record for record in caplog.records if record.name == "swprof_mw"]
    assert record.levelno == logging.ERROR
    assert "service_name is not set" in record.getMessage()
    assert agent.current() is None


def test_wrapping_an_app_starts_nothing_and_imports_no_grpc() -> None:
    code = (
        "import sys, threading; from swprof_mw.wsgi import SWProfilerMiddleware; SWProfilerMiddleware(print);"
        "assert not {'grpc', 'google.protobuf', 'flask', 'django', 'starlette'} & set(sys.modules);"
        "assert threading.active_count() == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("made", "component"),
    [
        (lambda: app, 7000),
        (lambda: Flask("shop"), 7001),
        (lambda: Flask("shop").wsgi_app, 7001),
        (lambda: Configurator().make_wsgi_app(), 7009),
        (falcon.App, 7012),
        (bottle.Bottle, 7015),
    ],
)
def test_the_framework_is_known_by_its_app(recorded: Recorded, made: Callable[[], App], component: int) -> None:
    ask(SWProfilerMiddleware(made(), service_name="shop"))
    assert recorded.last.component == component


# How its requests are named


def test_a_request_is_named_by_its_path_without_its_identifiers(recorded: Recorded) -> None:
    paths = ("/", "/orders/17", "/orders/18/lines/3fa85f64-5717-4562-b3fc-2c963f66afa6")
    assert named(recorded, *paths) == ["/", "/orders/{id}", "/orders/{id}/lines/{id}"]


def test_so_many_paths_have_names_and_no_more(recorded: Recorded) -> None:
    assert named(recorded, *(f"/shop/{chr(1000 + number)}" for number in range(1_001)))[-1] == OTHER


def test_the_app_says_better(recorded: Recorded) -> None:
    assert named(recorded, "/orders/17?orders/{number}", "/wp-admin?none") == ["/orders/{number}", UNMATCHED]


def test_the_setting_for_names_applies(recorded: Recorded) -> None:
    form = "{method}:{route}"
    names = named(recorded, "/orders/17", "/x?/y", "/x?none", endpoint_format=form)
    assert names == ["GET:/orders/{id}", "GET:/y", f"GET:{UNMATCHED}"]


def test_a_flask_app_inside_that_has_its_own_knows_better(recorded: Recorded) -> None:
    flask = Flask("inner")
    flask.add_url_rule("/orders/<int:number>", view_func=lambda number: "here")
    ask(SWProfilerMiddleware(SWProfiler(flask), service_name="shop"), "/orders/17")
    [segment] = recorded.segments
    assert (segment.service, segment.operation) == ("shop", "/orders/<int:number>")


@pytest.mark.parametrize(
    ("path", "endpoint"), [("/slow/7", "/slow/{id}"), ("/slow/7", "/slow/7"), ("/slow/7?/slow/{n}", "/slow/{n}")]
)
def test_a_task_samples_the_requests_of_its_endpoint(recorded: Recorded, path: str, endpoint: str) -> None:
    traced = SWProfilerMiddleware(app, service_name="shop")
    ask(traced)
    recorded.profile(endpoint)
    ask(traced, path)
    assert recorded.snapshots
    assert all(any("test_wsgi_middleware.py.app" in line for line in one.stack) for one in recorded.snapshots)
