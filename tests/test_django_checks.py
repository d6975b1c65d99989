"""What ``manage.py check`` says of our settings and our place."""

from __future__ import annotations

from typing import Any

import pytest

from tests import django_project

# isort: split
from django.core.checks import run_checks
from django.test import override_settings

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


def found(**settings: Any) -> list[tuple[str, str, str]]:
    """Our messages: id, text, hint."""
    with override_settings(**settings):
        messages = run_checks()
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
