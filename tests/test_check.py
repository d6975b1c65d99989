"""``swprof check``: apps loaded as servers load them, what is said of them and of their process, and how."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from swprof_mw import servers
from swprof_mw.check.finding import SEVERITIES
from swprof_mw.cli.main import main
from tests.environments import environment, python_3_11
from tests.faulty import Backend
from tests.forked import Ended, Forks
from tests.oap.server import free_ports
from tests.snippets import DOCS
from tests.test_runtimes import UNSUPPORTED

ROOT = Path(__file__).resolve().parent.parent
OFF = {"SWPROF_ENABLED": "off"}

FLASK = """
from flask import Flask
from swprof_mw.flask import SWProfiler

app = Flask("shop")
SWProfiler(app, service_name="shop")
"""
FASTAPI = """
from fastapi import FastAPI
from swprof_mw.asgi import SWProfilerMiddleware

app = FastAPI()
app.add_middleware(SWProfilerMiddleware, service_name="shop")
"""
WSGI = """
from swprof_mw.wsgi import SWProfilerMiddleware

def plain(environ, start_response):
    raise AssertionError("it was asked")

app = SWProfilerMiddleware(plain, service_name="shop")
"""
DJANGO = """
SECRET_KEY = "x"
ROOT_URLCONF = "urls"
MIDDLEWARE = ["swprof_mw.django.SWProfilerMiddleware", "django.middleware.common.CommonMiddleware"]
SWPROF = {"service_name": "shop"}
"""


DJANGO_SERVER = """
import os
from django.core.{0} import get_{0}_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
application = get_{0}_application()
"""


class Checked(Ended):
    """What a check has said."""

    @property
    def json(self) -> dict[str, Any]:
        """What it said with ``--json``."""
        assert "Traceback" not in self.errors or "skywalking" in self.errors, self.errors
        found: dict[str, Any] = json.loads(self.output)
        return found

    @property
    def ids(self) -> list[str]:
        """What was found, notes apart."""
        return [one["id"] for one in self.json["findings"] if one["severity"] != "note"]

    def finding(self, id_: str) -> dict[str, str]:
        """The one finding of that kind."""
        [found] = [one for one in self.json["findings"] if one["id"] == id_]
        assert found["severity"] == SEVERITIES[id_]
        assert found["mend"] or found["severity"] == "note"
        return dict(found)


class Check(Protocol):
    """Checks apps in a directory."""

    def __call__(self, code: str = "", target: str = "shop:app", *options: str, **variables: str) -> Checked:
        """Write ``shop.py`` and check its apps, separated by bars, without a backend, with these variables."""


def environ(**variables: str) -> dict[str, str]:
    """Of the tests, without what is ours, and with ``variables``."""
    ours = ("SW_", "SWPROF", "UWSGI", "DJANGO")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**inherited, "PYTHONPATH": str(ROOT), **variables}


def fresh(directory: Path, *arguments: str, python: str | Path = sys.executable, **variables: str) -> Checked:
    """Check in a fresh process, which then ends as processes do."""
    command = [str(python), "-m", "swprof_mw", "check", *arguments]
    done = subprocess.run(
        command, cwd=directory, env=environ(**variables), capture_output=True, text=True, check=False, timeout=60
    )
    return Checked(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """Where checks are run."""
    with contextlib.closing(Forks()) as made:
        yield made


@pytest.fixture
def check(forks: Forks, tmp_path: Path) -> Check:
    """Checks apps in the test's own directory."""

    def run(code: str = "", target: str = "shop:app", *options: str, **variables: str) -> Checked:
        if code:
            (tmp_path / "shop.py").write_text(code)
        targets = target.split("|") if target else []
        arguments = ["check", *targets, "--no-backend", "--json", *options]
        return Checked(*forks.run(tmp_path, arguments, environ(**variables)))

    return run


# What is well


@pytest.mark.parametrize(
    ("code", "framework", "middleware"),
    [
        (FLASK, "Flask", "swprof_mw.flask.SWProfiler"),
        (FLASK.replace("SWProfiler(app", "app.wsgi_app = SWProfiler(app"), "Flask", "swprof_mw.flask.SWProfiler"),
        (FASTAPI, "FastAPI", "swprof_mw.asgi.SWProfilerMiddleware"),
        (
            "from fastapi import FastAPI; from swprof_mw.asgi import SWProfilerMiddleware;"
            "app = SWProfilerMiddleware(FastAPI(), service_name='shop')",
            "FastAPI",
            "swprof_mw.asgi.SWProfilerMiddleware",
        ),
        (WSGI, "plain", "swprof_mw.wsgi.SWProfilerMiddleware"),
        (
            "from quart import Quart; from swprof_mw.asgi import SWProfilerMiddleware; app = Quart('x');"
            "app.asgi_app = SWProfilerMiddleware(app.asgi_app, service_name='shop')",
            "Quart",
            "swprof_mw.asgi.SWProfilerMiddleware",
        ),
        (
            "import falcon; from swprof_mw.wsgi import SWProfilerMiddleware;"
            "app = SWProfilerMiddleware(falcon.App(), service_name='shop')",
            "Falcon",
            "swprof_mw.wsgi.SWProfilerMiddleware",
        ),
    ],
)
def test_an_app_that_is_well(check: Check, code: str, framework: str, middleware: str) -> None:
    checked = check(code)
    assert (checked.status, checked.ids) == (0, [])
    [app] = checked.json["apps"]
    assert (app["target"], app["framework"], app["middleware"], app["service"]) == (
        "shop:app",
        framework,
        middleware,
        "shop",
    )
    assert app["settings"]["service_name"] == {"value": "shop", "source": "keyword argument"}
    assert app["settings"]["profile_max_parallel"] == {"value": 5, "source": "default"}


@pytest.mark.parametrize(
    ("target", "options", "variables"),
    [
        ("", ("--django", "settings"), {}),
        ("", (), {"DJANGO_SETTINGS_MODULE": "settings"}),
        ("wsgi:application", (), {}),
    ],
)
@pytest.mark.parametrize("named", ["", "WSGI_APPLICATION='wsgi.application'", "ASGI_APPLICATION='asgi.application'"])
def test_a_django_site_that_is_well(
    check: Check, tmp_path: Path, target: str, options: tuple[str, ...], variables: dict[str, str], named: str
) -> None:
    (tmp_path / "settings.py").write_text(f"{DJANGO}\n{named}\n")
    for server in ("wsgi", "asgi"):
        (tmp_path / f"{server}.py").write_text(DJANGO_SERVER.format(server))
    checked = check("", target, *options, **variables)
    assert (checked.status, checked.ids) == (0, [])
    [app] = checked.json["apps"]
    assert (app["framework"], app["middleware"], app["service"]) == (
        "Django",
        "swprof_mw.django.SWProfilerMiddleware",
        "shop",
    )
    assert app["settings"]["service_name"]["source"] == "SWPROF"


def test_each_setting_is_told_with_its_source(check: Check) -> None:
    code = FLASK + "app.config['SWPROF'] = {'service_name': 'not this one', 'profile_max_parallel': 3}"
    checked = check(code, SW_AGENT_AUTHENTICATION="s3cret", SWPROF_MAX_CPU="2")
    settings = checked.json["apps"][0]["settings"]
    assert settings["service_name"] == {"value": "shop", "source": "keyword argument"}
    assert settings["profile_max_parallel"] == {"value": 3, "source": "SWPROF"}
    assert settings["profile_max_cpu"] == {"value": 2.0, "source": "environment variable SWPROF_MAX_CPU"}
    assert settings["backend_services"] == {"value": ["127.0.0.1:11800"], "source": "default"}
    assert settings["authentication"]["value"] == "a value not shown"
    assert "s3cret" not in checked.output


# How it is loaded


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("shop", ()),
        ("shop:make()", ()),
        ("shop:make('shop', debug=True)", ()),
        ("shop:make", ("--factory",)),
        ("shop:Apps.first", ()),
        ("shop.wsgi:app", ("--app-dir", "inner")),
    ],
)
def test_an_app_is_named_as_servers_have_it(
    check: Check, tmp_path: Path, target: str, options: tuple[str, ...]
) -> None:
    package = tmp_path / "inner" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "wsgi.py").write_text(FLASK)
    code = f"""{FLASK}
def make(name="shop", debug=False):
    return app

class Apps:
    first = app
"""
    checked = check(code, target, *options)
    assert (checked.status, checked.ids) == (0, [])
    assert checked.json["apps"][0]["service"] == "shop"


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nothing:app", "No module named 'nothing' in "),
        ("shop:nothing", "module 'shop' has no attribute 'nothing'"),
        ("shop:app.nothing", "has no attribute 'nothing'"),
        ("shop.py:app", "'shop.py' is not the name of a module"),
        ("./shop:app", "'./shop' is not the name of a module"),
        ("shop:1 + 1", "'1 + 1' is neither a name nor a call with literals"),
        ("shop:make(app)", "'make(app)' is neither a name nor a call with literals"),
        ("shop:fails()", "LookupError: no database (PLACE:7)"),
        ("shop:leaves()", "SystemExit: 3 (PLACE:10)"),
        ("broken:app", "ModuleNotFoundError: No module named 'not_installed'"),
        ("empty", "empty has neither app nor application: give empty:NAME"),
    ],
)
def test_an_app_that_cannot_be_loaded(check: Check, tmp_path: Path, target: str, told: str) -> None:
    code = FLASK + "def fails():\n    raise LookupError('no database')\n\ndef leaves():\n    raise SystemExit(3)\n"
    (tmp_path / "broken.py").write_text("import not_installed")
    (tmp_path / "empty.py").write_text("")
    checked = check(code.lstrip(), target)
    assert (checked.status, checked.output) == (2, "")
    assert checked.errors.count("\n") == 1
    assert told.replace("PLACE", str(tmp_path / "shop.py")) in checked.errors


def test_a_django_site_that_cannot_be_loaded(check: Check, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("INSTALLED_APPS = ['nothing']")
    checked = check("", "", "--django", "settings")
    assert checked.status == 2
    assert "settings cannot be loaded: ModuleNotFoundError: No module named 'nothing'" in checked.errors


def test_an_app_is_asked_nothing_and_its_prints_are_not_in_the_way(check: Check) -> None:
    code = WSGI + "print('loading')\nimport threading, swprof_mw\n"
    checked = check(code)
    assert (checked.status, checked.ids) == (0, [])
    assert checked.errors == "loading\n"


def test_no_agent_is_started(tmp_path: Path) -> None:
    with Backend() as backend:
        code = WSGI + "import atexit, swprof_mw\natexit.register(lambda: print('agent:', swprof_mw.stats().instance))"
        (tmp_path / "shop.py").write_text(code)
        checked = fresh(tmp_path, "shop:app", SW_AGENT_COLLECTOR_BACKEND_SERVICES=backend.address)
        assert checked.status == 0
        assert checked.output.splitlines()[-1] == "agent: "
        assert [call.method for call in backend.received] == ["getProfileTaskCommands"]


# What is wrong with the app


@pytest.mark.parametrize(
    ("code", "target", "message"),
    [
        ("import flask; app = flask.Flask('x')", "shop:app", "no middleware of ours is in shop:app (Flask)"),
        ("import fastapi; app = fastapi.FastAPI()", "shop:app", "no middleware of ours is in shop:app (FastAPI)"),
        (FLASK + "\ndef make():\n    return app", "shop:make", "shop:make is a function that makes an app"),
        ("app = 7", "shop:app", "shop:app is no app, but of type int"),
        (FLASK.replace("service_name", "enabled=False, service_name"), "shop:app", "no middleware of ours is in"),
        (WSGI.replace("service_name", "enabled=False, service_name"), "shop:app", "no middleware of ours is in"),
        (
            "import fastapi; from swprof_mw.asgi import SWProfilerMiddleware;"
            "app = SWProfilerMiddleware(fastapi.FastAPI(), enabled=False)",
            "shop:app",
            "no middleware of ours is in shop:app (FastAPI)",
        ),
    ],
)
def test_an_app_without_it(check: Check, code: str, target: str, message: str) -> None:
    checked = check(code, target)
    assert (checked.status, checked.ids) == (1, ["not-instrumented"])
    assert checked.finding("not-instrumented")["message"].startswith(message)


def test_a_django_site_without_it(check: Check, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text(DJANGO.replace('"swprof_mw.django.SWProfilerMiddleware", ', ""))
    checked = check("", "", "--django", "settings")
    assert (checked.status, checked.ids) == (1, ["not-instrumented"])


def test_an_app_that_was_wrapped_but_is_not_what_is_served(check: Check) -> None:
    checked = check(WSGI, "shop:plain")
    assert (checked.status, checked.ids) == (1, ["not-served"])


OUTSIDE = {
    "a class": (
        FLASK + "class Outer:\n    def __init__(self, app):\n        self.inner = app\n"
        "    def __call__(self, environ, start): ...\napp.wsgi_app = Outer(app.wsgi_app)",
        "Outer",
    ),
    "a function": (
        WSGI
        + "def outer(app):\n    def wrapped(environ, start):\n        return app(environ, start)\n    return wrapped\n"
        "app = outer(app)",
        "wrapped",
    ),
    "another middleware": (
        FASTAPI + "from starlette.middleware.gzip import GZipMiddleware\napp.add_middleware(GZipMiddleware)",
        "GZipMiddleware",
    ),
    "Litestar": (
        "from litestar import Litestar; from litestar.middleware import DefineMiddleware;"
        "from swprof_mw.asgi import SWProfilerMiddleware as Ours;"
        "app = Litestar([], middleware=[DefineMiddleware(Ours, service_name='shop')])",
        "Litestar's own router",
    ),
}


@pytest.mark.parametrize(("code", "outer"), OUTSIDE.values(), ids=OUTSIDE)
def test_something_is_further_out(check: Check, code: str, outer: str) -> None:
    checked = check(code)
    assert (checked.status, checked.ids) == (0, ["not-outermost"])
    message = checked.finding("not-outermost")["message"]
    assert message == f"{outer} is further out, and what happens there is not seen"


def test_something_is_before_it_in_a_django_site(check: Check, tmp_path: Path) -> None:
    order = '["django.middleware.common.CommonMiddleware", "swprof_mw.django.SWProfilerMiddleware"]'
    (tmp_path / "settings.py").write_text(f"{DJANGO}\nMIDDLEWARE = {order}")
    checked = check("", "", "--django", "settings")
    assert (checked.status, checked.ids) == (0, ["not-outermost"])
    assert "django.middleware.common.CommonMiddleware is further out" in checked.finding("not-outermost")["message"]


def test_what_tells_of_a_proxy_is_well_further_out(check: Check) -> None:
    code = FLASK + "from werkzeug.middleware.proxy_fix import ProxyFix\napp.wsgi_app = ProxyFix(app.wsgi_app)"
    assert check(code).ids == []


@pytest.mark.parametrize(
    "code",
    [
        FLASK + "SWProfiler(app, service_name='shop')",
        FASTAPI + "app.add_middleware(SWProfilerMiddleware, service_name='shop')",
        WSGI + "app = SWProfilerMiddleware(app, service_name='shop')",
    ],
)
def test_it_is_there_twice(check: Check, code: str) -> None:
    checked = check(code)
    assert (checked.status, checked.ids) == (0, ["twice"])
    assert checked.finding("twice")["message"].endswith("is there 2 times")


@pytest.mark.parametrize(
    ("code", "variables", "source"),
    [
        (FLASK, OFF, "environment variable SWPROF_ENABLED"),
        (FASTAPI, OFF, "environment variable SWPROF_ENABLED"),
        (FASTAPI.replace("service_name", "enabled=False, service_name"), {}, "keyword argument"),
        (FLASK + "app.config['SWPROF'] = {'enabled': False}", {}, "SWPROF"),
    ],
)
def test_it_is_switched_off(check: Check, code: str, variables: dict[str, str], source: str) -> None:
    checked = check(code, **variables)
    assert (checked.status, checked.ids) == (0, ["off"])
    assert source in checked.finding("off")["message"]


def test_an_app_may_hold_what_is_not_there_now(check: Check) -> None:
    code = FLASK + "from flask import current_app, request\napp.one, app.other = current_app, request\n"
    inside = "class Outer:\n    def __init__(self, app):\n        self.request, self.app = request, app\n"
    checked = check(code + inside + "    def __call__(self, environ, start): ...\napp.wsgi_app = Outer(app.wsgi_app)")
    assert (checked.status, checked.ids) == (0, ["not-outermost"])


# What is wrong with settings


@pytest.mark.parametrize(
    ("code", "variables", "told"),
    [
        (FLASK.replace("service_name", "service_nam"), {}, "unknown setting 'service_nam' (keyword argument)"),
        (FASTAPI.replace("service_name", "service_nam"), {}, "unknown setting 'service_nam' (keyword argument)"),
        (FLASK + "app.config['SWPROF'] = {'profile_max_parallel': 0}", {}, "profile_max_parallel must be"),
        (FLASK, {"SW_AGENT_PROFILE_MAX_PARALLEL": "0"}, "(environment variable SW_AGENT_PROFILE_MAX_PARALLEL)"),
        ("app = print", {"SW_AGENT_PROFILE_MAX_PARALLEL": "0"}, "(environment variable SW_AGENT_PROFILE_MAX_PARALLEL)"),
    ],
)
def test_a_setting_that_is_not_valid(check: Check, code: str, variables: dict[str, str], told: str) -> None:
    checked = check(code, **variables)
    assert (checked.status, checked.ids) == (1, ["setting-invalid"])
    assert told in checked.finding("setting-invalid")["message"]


def test_without_an_app_the_environment_is_looked_at(check: Check) -> None:
    checked = check("", "", SW_AGENT_FORCE_TLS="perhaps")
    assert (checked.status, checked.ids, checked.json["apps"]) == (1, ["setting-invalid"], [])


DIFFERENT = FLASK + "other = Flask('other')\nSWProfiler(other, service_name='other', profile_max_parallel=3)\n"
MOUNTED = FASTAPI + "sub = FastAPI()\napp.mount('/sub', sub)\nsub.add_middleware(SWProfilerMiddleware, force_tls=True)"


def test_two_apps_whose_settings_differ(check: Check) -> None:
    checked = check(DIFFERENT, "shop:app|shop:other")
    assert (checked.status, checked.ids) == (1, ["settings-differ"])
    message = checked.finding("settings-differ")["message"]
    assert message.startswith("shop:app and shop:other: profile_max_parallel must be the same in all apps")


@pytest.mark.parametrize(
    ("code", "other"),
    [(DIFFERENT, "the app of service 'other': profile_max"), (MOUNTED, "an app mounted in shop:app: force_tls")],
)
def test_an_app_that_was_not_asked_for_may_differ(check: Check, code: str, other: str) -> None:
    checked = check(code)
    [found] = [one for one in checked.json["findings"] if one["id"] == "settings-differ"]
    assert (checked.status, found["severity"]) == (0, "warning")
    assert found["message"].startswith(f"shop:app and {other}")


def test_apps_that_agree(check: Check) -> None:
    checked = check(DIFFERENT.replace(", profile_max_parallel=3", ""), "shop:app|shop:other")
    assert (checked.status, checked.ids) == (0, [])


UNNAMED = FASTAPI.replace(', service_name="shop"', "")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (FLASK.replace(', service_name="shop"', ""), "shop"),
        (UNNAMED, "FastAPI"),
        (UNNAMED.replace("FastAPI()", "FastAPI(title='bank')"), "bank"),
        (UNNAMED.replace("app.add_middleware(SWProfilerMiddleware)", "app = SWProfilerMiddleware(app)"), "FastAPI"),
    ],
)
def test_a_service_that_nobody_has_named(check: Check, code: str, name: str) -> None:
    checked = check(code)
    assert (checked.status, checked.ids) == (0, ["service-name-default"])
    assert f"the service is called {name!r}" in checked.finding("service-name-default")["message"]


def test_an_app_without_any_name(check: Check) -> None:
    checked = check(WSGI.replace(', service_name="shop"', ""))
    assert (checked.status, checked.ids) == (1, ["service-name-missing"])


def test_profiling_that_is_off(check: Check) -> None:
    checked = check(FLASK, SW_AGENT_PROFILE_ACTIVE="off")
    assert (checked.status, checked.ids) == (0, ["profiling-off"])


@pytest.mark.parametrize(
    ("backend", "more", "ids"),
    [
        ("oap.example:11800", {}, ["token-in-clear"]),
        ("[2001:db8::1]:11800", {}, ["token-in-clear"]),
        ("oap.example:11800", {"SW_AGENT_FORCE_TLS": "on"}, []),
        ("127.0.0.1:11800,localhost:11800,[::1]:11800", {}, []),
    ],
)
def test_a_token_that_anybody_could_read(check: Check, backend: str, more: dict[str, str], ids: list[str]) -> None:
    variables = {"SW_AGENT_AUTHENTICATION": "s3cret", "SW_AGENT_COLLECTOR_BACKEND_SERVICES": backend, **more}
    checked = check(FLASK, **variables)
    assert (checked.status, checked.ids) == (0, ids)


# What is wrong with the process


@pytest.mark.parametrize(("simulate", "why"), UNSUPPORTED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_process_that_it_does_not_run_in(
    simulate: Any, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as simulated:
        simulate(simulated)
        status = main(["check", "--no-backend", "--json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    [one] = [one for one in found if one["id"] == "unsupported"]
    assert (status, one["message"]) == (1, f"requests pass without being profiled: {why}")
    assert one["mend"]


def test_an_app_that_is_patched_by_eventlet(tmp_path: Path) -> None:
    python = environment(
        "eventlet", sys.executable, "eventlet", "flask>=2.2", "blinker>=1.5", "grpcio", "protobuf>=4.25"
    )
    (tmp_path / "shop.py").write_text("import eventlet\neventlet.monkey_patch()\n" + FLASK)
    checked = fresh(tmp_path, "shop:app", "--no-backend", "--json", python=python)
    assert (checked.status, checked.ids) == (1, ["unsupported"])
    assert "eventlet" in checked.finding("unsupported")["message"]


def test_an_app_that_is_patched_by_gevent(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("from gevent import monkey\nmonkey.patch_all()\n" + FLASK)
    with Backend() as backend:
        checked = fresh(tmp_path, "shop:app", "--json", SW_AGENT_COLLECTOR_BACKEND_SERVICES=backend.address)
    assert (checked.status, checked.ids) == (0, [])
    [port] = free_ports(0)
    checked = fresh(tmp_path, "shop:app", "--json", SW_AGENT_COLLECTOR_BACKEND_SERVICES=f"127.0.0.1:{port}")
    assert (checked.status, checked.ids) == (1, ["refused"])


@pytest.mark.parametrize(("name", "value"), [("version_info", (3, 14, 0)), ("platform", "darwin")])
def test_a_process_like_which_none_is_tested(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as simulated:
        simulated.setattr(sys, name, value)
        assert main(["check", "--no-backend", "--json"]) == 0
    assert "untested" in [one["id"] for one in json.loads(capsys.readouterr().out)["findings"]]


#: Lines of an ``.ini``, and whether uWSGI then lets threads run.
UWSGI = {
    "need-app = false": False,
    "enable-threads = true": True,
    "enable-threads": False,
    "enable-threads = false": False,
    "enable-threads = no": False,
    "enable-threads = 0": False,
    "enable-threads = off": True,
    "threads = 4": True,
    "http-timeout = 1\nhttp-timeout = 2\nthreads = 2": True,
    "ini = common.ini": True,
}


def write_ini(directory: Path, line: str) -> None:
    """An ``uwsgi.ini`` with that line, and one that it may include."""
    (directory / "common.ini").write_text("[uwsgi]\nenable-threads = true\n")
    (directory / "uwsgi.ini").write_text(f"[uwsgi]\nsocket = 127.0.0.1:0\npyrun = probe.py\n{line}\n")


@pytest.mark.parametrize(("line", "runs"), UWSGI.items())
def test_uwsgi_has_to_let_threads_run(check: Check, tmp_path: Path, line: str, runs: bool) -> None:
    write_ini(tmp_path, line)
    for options in ((), ("--uwsgi", "uwsgi.ini")):
        checked = check(FLASK, "shop:app", *options)
        assert (checked.status, checked.ids) == ((0, []) if runs else (1, ["uwsgi-threads"]))
        if not runs:
            assert checked.finding("uwsgi-threads")["mend"].startswith("add enable-threads = true to ")


@pytest.mark.parametrize(("line", "runs"), UWSGI.items())
def test_uwsgi_itself_reads_its_options_so(tmp_path: Path, line: str, runs: bool) -> None:
    write_ini(tmp_path, line)
    code = (
        "import os; from swprof_mw import servers; print('they run:', servers.threads_run(), flush=True); os._exit(0)"
    )
    (tmp_path / "probe.py").write_text(code)
    python = environment("uwsgi", sys.executable, "uwsgi==2.0.31")
    command = [str(python.parent / "uwsgi"), "--ini", "uwsgi.ini"]
    done = subprocess.run(command, cwd=tmp_path, env=environ(), capture_output=True, text=True, check=False, timeout=20)
    assert f"they run: {runs}" in done.stdout + done.stderr


def test_a_file_of_uwsgi_s_that_includes_itself_is_read_once(check: Check, tmp_path: Path) -> None:
    write_ini(tmp_path, "ini = uwsgi.ini")
    assert check(FLASK).ids == ["uwsgi-threads"]


@pytest.mark.parametrize(
    ("variables", "ids"),
    [
        ({"UWSGI_MODULE": "shop:app"}, ["uwsgi-threads"]),
        ({"UWSGI_MODULE": "shop:app", "UWSGI_ENABLE_THREADS": "1"}, []),
        ({"UWSGI_RELOADS": "1", "UWSGI_ORIGINAL_PROC_NAME": "uwsgi"}, []),
    ],
)
def test_uwsgi_s_options_may_be_in_the_environment(check: Check, variables: dict[str, str], ids: list[str]) -> None:
    assert check(FLASK, **variables).ids == ids


def test_uwsgi_that_is_installed_may_be_what_it_runs_under(tmp_path: Path) -> None:
    metadata = tmp_path / "site" / "uWSGI-2.0.28.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: uWSGI\nVersion: 2.0.28\n")
    (tmp_path / "shop.py").write_text(FLASK)
    path = f"{ROOT}{os.pathsep}{tmp_path / 'site'}"
    checked = fresh(tmp_path, "shop:app", "--no-backend", "--json", PYTHONPATH=path)
    assert checked.status == 0
    assert "--uwsgi" in checked.finding("uwsgi-unknown")["mend"]


@pytest.mark.parametrize("content", [None, "nonsense", "[other]\nx = 1\n", "[uwsgi\n"])
def test_a_file_that_is_not_uwsgi_s(check: Check, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "some.ini").write_text(content)
    checked = check(FLASK, "shop:app", "--uwsgi", "some.ini")
    assert (checked.status, checked.output) == (2, "")
    assert "some.ini" in checked.errors


def test_options_of_uwsgi_are_the_same_as_text_and_as_bytes() -> None:
    off: list[dict[Any, Any]] = [{"enable-threads": "false"}, {b"enable-threads": b"false"}, {}]
    on: list[dict[Any, Any]] = [{"enable-threads": "true"}, {b"threads": b"2"}, {"enable-threads": True}]
    assert [servers.lets_threads_run(options) for options in (*off, *on)] == [False] * 3 + [True] * 3


def test_a_debugger_is_told_of(check: Check) -> None:
    code = FLASK + "import sys, threading\nsys.settrace(lambda frame, event, arg: None)\n"
    checked = check(code)
    assert (checked.status, checked.ids) == (0, ["tracer"])


def test_what_is_beside_it_and_in_nobody_s_way(check: Check, tmp_path: Path) -> None:
    (tmp_path / "sentry_sdk.py").touch()
    checked = check(FLASK + "import sentry_sdk\n")
    assert (checked.status, checked.ids) == (0, [])
    assert checked.finding("agents-beside")["message"] == "in this process too, and not in the way: Sentry"


if python_3_11() or os.environ.get("CI"):

    @pytest.mark.parametrize("starts", [True, False])
    def test_the_official_agent_is_told_of_where_it_runs(tmp_path: Path, starts: bool) -> None:
        python = python_3_11()
        assert python is not None, "no python3.11 on the path, for the official agent"
        interpreter = environment("official", python, "apache-skywalking==1.2.0", "flask>=2.2", "blinker>=1.5")
        with Backend() as backend:
            code = f"""{FLASK}
from skywalking import agent, config
config.init(agent_collector_backend_services="{backend.address}", agent_name="official")
{"agent.start()" if starts else ""}
"""
            (tmp_path / "shop.py").write_text(code)
            checked = fresh(tmp_path, "shop:app", "--no-backend", "--json", python=interpreter)
        assert (checked.status, checked.ids) == (0, ["agent-skywalking"] if starts else [])


# How it is told


def test_people_read_what_is_so_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(FASTAPI.replace(', service_name="shop"', ", namespace='test'"))
    with Backend() as backend:
        checked = fresh(tmp_path, "shop:app", SW_AGENT_COLLECTOR_BACKEND_SERVICES=backend.address)
    first, *lines = checked.output.splitlines()
    assert re.fullmatch(r"swprof_mw \S+, Python \S+, Linux", first)
    answered = lines.pop(5)
    assert re.fullmatch(rf"ok       {backend.address} answers, in \d+ ms", answered)
    assert lines == [
        "",
        "shop:app: FastAPI by swprof_mw.asgi.SWProfilerMiddleware, service FastAPI",
        "  namespace         test             keyword argument",
        f"  backend_services  {backend.address}  environment variable SW_AGENT_COLLECTOR_BACKEND_SERVICES",
        "",
        "warning  the service is called 'FastAPI', after the app [service-name-default]",
        "         → set service_name, or SW_AGENT_NAME in the environment",
        "1 warning",
    ]
    assert (checked.status, checked.errors) == (0, "")


def test_all_settings_are_shown_if_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(FLASK)
    shown = fresh(tmp_path, "shop:app", "--no-backend", "--all").output
    assert re.search(r"^  profile_max_cpu +5\.0 +default$", shown, re.MULTILINE)
    assert re.search(r"^  profile_active +on +default$", shown, re.MULTILINE)
    assert shown.splitlines()[-1] == "nothing is wrong"


def test_several_apps_are_told_apart(tmp_path: Path) -> None:
    code = FLASK + "other = Flask('other')\nSWProfiler(other)"
    (tmp_path / "shop.py").write_text(code)
    shown = fresh(tmp_path, "shop:app", "shop:other", "--no-backend").output
    assert "warning  shop:other: the service is called 'other', after the app" in shown


def test_a_warning_is_an_error_if_that_is_asked_for(check: Check) -> None:
    assert check(FLASK, "shop:app", "--strict", SW_AGENT_PROFILE_ACTIVE="off").status == 1
    assert check(FLASK, "shop:app", "--strict").status == 0


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_has_colours(tmp_path: Path, variables: dict[str, str], coloured: bool) -> None:
    (tmp_path / "shop.py").write_text(FLASK)
    ours, theirs = pty.openpty()
    settings = {"PYTHONPATH": str(ROOT), "SW_AGENT_PROFILE_ACTIVE": "off", "TERM": "xterm", "NO_COLOR": "", **variables}
    command = [sys.executable, "-m", "swprof_mw", "check", "shop:app"]
    with Backend() as backend:
        settings["SW_AGENT_COLLECTOR_BACKEND_SERVICES"] = backend.address
        done = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **settings}, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how a terminal says that nobody is left
            while data := os.read(ours, 1000):
                shown += data
        os.close(ours)
        assert done.wait(60) == 0
    text = shown.decode()
    assert ("\x1b[33mwarning\x1b[0m  no profile task" in text) == coloured
    assert ("\x1b[32mok\x1b[0m" in text) == coloured
    assert ("\x1b[" in text) == coloured
    assert f"calling {backend.address} …" in text


# The page


def test_the_page_has_every_finding() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (error|warning|note) \|", (DOCS / "check.md").read_text(), re.MULTILINE)
    assert dict(rows) == SEVERITIES


def test_every_finding_has_a_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("test_check*.py"))
    assert [id_ for id_ in SEVERITIES if f'"{id_}"' not in tests] == []
