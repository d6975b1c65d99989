"""What ``manage.py check`` says of our settings and our place."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests import django_project
from tests.test_runtimes import UNSUPPORTED

# isort: split
from django.core.checks import run_checks
from django.test import override_settings

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


def found(deploy: bool = False, **settings: Any) -> list[tuple[str, str, str]]:
    """Our messages: id, text, hint."""
    with override_settings(**settings):
        messages = run_checks(include_deployment_checks=deploy)
    return [(each.id, each.msg, each.hint) for each in messages if str(each.id).startswith("swprof_mw.")]


def test_a_good_site_has_no_message() -> None:
    assert found() == []
    assert found(MIDDLEWARE=["swprof_mw.django.middleware.SWProfilerMiddleware", SESSIONS]) == []


@pytest.mark.parametrize(
    ("settings", "number", "text"),
    [
        ({"servicename": "x"}, "swprof_mw.E001", "did you mean 'service_name'?"),
        ({"service_name": "x", 7: 1}, "swprof_mw.E001", "unknown setting '7'"),
        ({"profile_max_parallel": 0}, "swprof_mw.E002", "from 1 to 1000"),
        ({"tls_cert": __file__}, "swprof_mw.E002", "tls_key"),
        (["service_name"], "swprof_mw.E002", "must be a dict"),
    ],
)
def test_a_bad_setting_is_an_error(settings: object, number: str, text: str) -> None:
    [(identifier, message, hint)] = found(SWPROF=settings)
    assert identifier == number
    assert text in message
    assert "settings.SWPROF" in hint


def test_a_bad_variable_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SW_AGENT_PROFILE_MAX_PARALLEL", "none")
    [(identifier, message, _)] = found()
    assert identifier == "swprof_mw.E002"
    assert "SW_AGENT_PROFILE_MAX_PARALLEL" in message


def test_the_middleware_should_be_the_first() -> None:
    [(identifier, message, hint)] = found(MIDDLEWARE=[SESSIONS, django_project.OURS])
    assert identifier == "swprof_mw.W001"
    assert "not the first" in message
    assert SESSIONS in hint


def test_the_middleware_should_be_there() -> None:
    [(identifier, _, hint)] = found(MIDDLEWARE=[SESSIONS])
    assert identifier == "swprof_mw.W002"
    assert django_project.OURS in hint


def test_the_middleware_should_be_there_once() -> None:
    [(identifier, message, hint)] = found(MIDDLEWARE=[django_project.OURS, SESSIONS, django_project.OURS])
    assert identifier == "swprof_mw.W003"
    assert "2 times" in message
    assert hint


def test_both_may_be_wrong_with_its_place() -> None:
    messages = found(MIDDLEWARE=[SESSIONS, django_project.OURS, django_project.OURS])
    assert [identifier for identifier, _, _ in messages] == ["swprof_mw.W001", "swprof_mw.W003"]


@pytest.mark.parametrize(("simulate", "why"), UNSUPPORTED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_process_that_it_does_not_run_in_is_an_error(
    simulate: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as simulated:
        simulate(simulated)
        [(identifier, message, hint)] = found()
    assert (identifier, message) == ("swprof_mw.E003", f"swprof_mw is off: {why}")
    assert hint


def test_under_uwsgi_threads_have_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(opt={b"module": b"shop"}))
    [(identifier, message, _)] = found()
    assert identifier == "swprof_mw.E003"
    assert "enable-threads" in message


def test_the_official_agent_is_told_of_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = SimpleNamespace(started_pid=None)
    monkeypatch.setitem(sys.modules, "skywalking.agent", SimpleNamespace(agent=agent))
    assert found() == []
    agent.started_pid = os.getpid()
    [(identifier, message, hint)] = found()
    assert identifier == "swprof_mw.W004"
    assert "SkyWalking's own" in message
    assert hint


FAR = {"service_name": "x", "authentication": "s3cret", "backend_services": "oap.example:11800"}


def test_a_token_in_clear_is_a_warning_where_a_site_is_deployed() -> None:
    assert found(SWPROF=FAR) == []
    [(identifier, message, hint)] = found(True, SWPROF=FAR)
    assert identifier == "swprof_mw.W005"
    assert "oap.example:11800" in message
    assert "s3cret" not in message + hint
    for change in ({"force_tls": True}, {"backend_services": "127.0.0.1:11800"}, {"authentication": None}):
        assert found(True, SWPROF={**FAR, **change}) == []


def test_switched_off_it_has_no_place_and_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "abiflags", "t")
    assert found(True, SWPROF={**FAR, "enabled": False}, MIDDLEWARE=[SESSIONS]) == []
    monkeypatch.setenv("SWPROF_ENABLED", "off")
    assert found(MIDDLEWARE=[SESSIONS]) == []


def test_a_bad_setting_does_not_hide_what_else_is_wrong() -> None:
    messages = found(SWPROF={"servicename": "x"}, MIDDLEWARE=[SESSIONS])
    assert {identifier for identifier, _, _ in messages} == {"swprof_mw.E001", "swprof_mw.W002"}


def test_the_app_is_optional() -> None:
    """Without it there are no checks, and the middleware does what it does."""
    code = """
import django
from django.conf import settings
urlpatterns = []
settings.configure(ROOT_URLCONF=__name__, MIDDLEWARE=["swprof_mw.django.SWProfilerMiddleware"])
django.setup()
from django.apps import apps
from django.core.checks import run_checks
from django.core.handlers.wsgi import WSGIHandler
from swprof_mw.django import SWProfilerMiddleware
handler = WSGIHandler()
assert not apps.is_installed("swprof_mw.django")
assert [each for each in run_checks() if str(each.id).startswith("swprof_mw")] == []
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
