"""The Django middleware under WSGI: settings, spans, tasks that are there before the view, responses that stream."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from tests import django_project
from tests.django_project import views
from tests.generated.observed import Unspeakable
from tests.recorded import Recorded
from tests.wsgi_client import ask, make_environ

# isort: split
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory, override_settings
from django.urls import resolve

from swprof_mw import agent
from swprof_mw.django import SWProfilerMiddleware, site
from swprof_mw.profiling.locate.place import current_request

#: Of a thread that a debugger or a coverage tool traces, no other thread may read the local variables.


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    """Each test starts with views that saw nothing."""
    views.seen.clear()
    yield
    views.seen.clear()
    assert current_request.get() is None


def respond(request: HttpRequest) -> HttpResponse:
    """The rest of a site."""
    return HttpResponse("ok")


# Settings


def test_the_settings_are_djangos(recorded: Recorded) -> None:
    with override_settings(SWPROF={"service_name": "other", "url_tag": "off"}):
        ask(WSGIHandler(), "/users/7")
    assert recorded.last.service == "other"
    assert "http.url" not in dict(recorded.last.tags)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"ROOT_URLCONF": "shop.urls"}, "shop"),
        ({"ROOT_URLCONF": "__main__", "SETTINGS_MODULE": "store.settings.live"}, "store"),
        ({"ROOT_URLCONF": "__main__", "SETTINGS_MODULE": None}, "django"),
        ({"ROOT_URLCONF": None, "SETTINGS_MODULE": "__main__"}, "django"),
    ],
)
def test_a_service_without_a_name_has_the_sites(changes: dict[str, Any], name: str) -> None:
    with override_settings(**changes):
        assert site.default_name() == name


def test_a_site_need_not_have_settings_for_us(recorded: Recorded) -> None:
    with override_settings():
        del settings.SWPROF
        ask(WSGIHandler(), "/users/7")
    assert recorded.last.service == "tests"


def test_off_means_that_django_leaves_the_middleware_out() -> None:
    with override_settings(SWPROF={"enabled": False}):
        with pytest.raises(MiddlewareNotUsed):
            SWProfilerMiddleware(respond)
        assert ask(WSGIHandler(), "/users/7").body == b"ok"
    assert agent.current() is None


@pytest.mark.parametrize("given", [{"profile_max_parallel": 0}, {"servicename": "x"}, "shop"])
def test_a_bad_setting_is_logged_once_and_the_site_runs(caplog: pytest.LogCaptureFixture, given: object) -> None:
    with override_settings(SWPROF=given):
        handler = WSGIHandler()
        for _ in range(3):
            assert ask(handler, "/users/7").body == b"ok"
    assert len([record for record in caplog.records if record.name == "swprof_mw"]) == 1
    assert agent.current() is None


def test_a_bad_variable_of_the_environment_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SW_AGENT_PROFILE_MAX_PARALLEL", "none")
    assert ask(WSGIHandler(), "/users/7").body == b"ok"
    assert agent.current() is None


# Spans


def test_a_span_tells_of_the_request(recorded: Recorded) -> None:
    ask(WSGIHandler(), "/users/7?token=secret")
    span = recorded.last
    assert dict(span.tags) == {"http.method": "GET", "http.url": "/users/7", "http.status_code": "200"}
    assert (span.component, span.peer, span.service) == (7004, "192.0.2.7:5123", "shop")
    assert not span.is_error


def test_the_url_is_the_whole_decoded_path(recorded: Recorded) -> None:
    ask(WSGIHandler(), "/files/caf%C3%A9", SCRIPT_NAME="/app")
    assert dict(recorded.last.tags)["http.url"] == "/app/files/café"


def test_a_trace_goes_on(recorded: Recorded) -> None:
    ask(WSGIHandler(), "/users/7", HTTP_SW8="1-dHJhY2U=-c2VnbWVudA==-3-c2hvcA==-b25l-L2J1eQ==-YToxMjM=")
    assert recorded.last.trace_id == "trace"
    ask(WSGIHandler(), "/users/7", HTTP_SW8="1-x-y")
    assert recorded.last.reference is None


def test_an_exception_that_django_turns_into_a_500_is_told(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    assert ask(WSGIHandler(), "/fail").status[:3] == "500"
    log = dict(recorded.last.log)
    assert (log["error.kind"], log["message"]) == ("builtins.ValueError", "secret")
    assert log["stack"].splitlines()[-1].endswith("in fail")
    assert recorded.last.is_error


@pytest.mark.parametrize("path", ["/gone/1/", "/denied", "/nothing"])
def test_what_django_answers_by_itself_is_no_error(recorded: Recorded, path: str) -> None:
    ask(WSGIHandler(), path)
    assert not recorded.last.is_error
    assert recorded.last.log == ()


def test_an_exception_that_django_lets_pass_is_the_apps_own(recorded: Recorded) -> None:
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True), pytest.raises(ValueError, match="secret") as caught:
        ask(WSGIHandler(), "/fail")
    assert caught.traceback[-1].name == "fail"
    assert dict(recorded.last.log)["message"] == "secret"


def test_the_middleware_twice_makes_one_span(recorded: Recorded) -> None:
    with override_settings(MIDDLEWARE=[django_project.OURS, *django_project.MIDDLEWARE]):
        assert ask(WSGIHandler(), "/users/7").body == b"ok"
    assert [segment.operation for segment in recorded.segments] == ["/users/<int:uid>"]


def test_what_is_ignored_runs_untouched(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    with override_settings(SWPROF={"ignore_methods": "GET"}):
        assert ask(WSGIHandler(), "/users/7").body == b"ok"
        assert ask(WSGIHandler(), "/fail").status[:3] == "500"
    assert recorded.segments == []


def test_a_request_made_by_hand_lacks_what_a_server_says(recorded: Recorded) -> None:
    middleware = SWProfilerMiddleware(respond)
    request = HttpRequest()
    assert middleware(request).content == b"ok"  # type: ignore[union-attr]
    assert middleware(RequestFactory().get("/x")).content == b"ok"  # type: ignore[union-attr]
    assert [segment.operation for segment in recorded.segments] == ["<unmatched>"]


def test_what_is_no_response_is_passed_on(recorded: Recorded) -> None:
    assert SWProfilerMiddleware(lambda request: None)(RequestFactory().get("/x")) is None
    assert len(recorded.segments) == 1


# Tasks


@pytest.mark.parametrize("task", ["/probe/<int:x>", "/probe/7"])
@pytest.mark.parametrize("path", ["/probe", "/probe_later"])
def test_a_request_that_a_task_asks_for_is_sampled_before_its_view(recorded: Recorded, path: str, task: str) -> None:
    handler = WSGIHandler()
    ask(handler, "/users/7")
    recorded.profile(task.replace("/probe", path))
    ask(handler, f"{path}/7")
    assert views.seen == [(f"{path}/<int:x>", True)]
    assert not recorded.agent.sampler.taken
    ask(handler, "/users/7")
    assert len(recorded.segments) == 3


def test_others_are_not(recorded: Recorded) -> None:
    handler = WSGIHandler()
    ask(handler, "/users/7")
    recorded.profile("/users/<int:uid>")
    ask(handler, "/probe/7")
    assert views.seen == [("/probe/<int:x>", False)]


def test_the_slot_is_given_back_by_a_request_that_fails(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    handler = WSGIHandler()
    ask(handler, "/users/7")
    recorded.profile("/fail")
    ask(handler, "/fail")
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True), pytest.raises(ValueError, match="secret"):
        ask(handler, "/fail")
    assert not recorded.agent.sampler.taken


def test_an_exception_that_does_not_even_tell_its_class_is_the_apps_own(recorded: Recorded) -> None:
    def fail(request: HttpRequest) -> HttpResponse:
        raise Unspeakable

    middleware = SWProfilerMiddleware(fail)
    try:  # pytest itself would ask it
        middleware(RequestFactory().get("/x"))
    except Unspeakable:
        assert len(recorded.segments) == 1
    else:
        pytest.fail("it was swallowed")


# Profiles


def profiled(recorded: Recorded, path: str) -> list[str]:
    """The lines of all stacks of one request."""
    handler = WSGIHandler()
    ask(handler, "/users/7")
    recorded.profile(path)
    ask(handler, path)
    assert not recorded.agent.sampler.taken
    return [line for snapshot in recorded.snapshots for line in snapshot.stack]


@pytest.mark.parametrize(
    ("path", "function"),
    [("/busy", "busy"), ("/busy_later", "busy_later"), ("/stream", "chunks")],
)
def test_a_profile_shows_the_view_and_what_it_streams(recorded: Recorded, path: str, function: str) -> None:
    lines = profiled(recorded, path)
    assert any(f"{function}:" in line for line in lines), lines
    assert any("spend:" in line for line in lines), lines
    assert recorded.last.end - recorded.last.start >= 79


# Responses that stream


def test_a_streaming_response_is_open_until_the_server_closes_it(recorded: Recorded) -> None:
    body: Any = WSGIHandler()(make_environ("/stream"), lambda *_: None)
    chunks = list(body)
    [span] = views.seen
    ended = [span.ended]
    body.close()
    assert [*ended, span.ended] == [False, True]
    assert chunks == [b"x"] * 3
    assert recorded.last.operation == "/stream"


def close_early(body: Any) -> None:
    next(iter(body))
    body.close()


def close_unread(body: Any) -> None:
    body.close()


def drop(body: Any) -> None:
    next(iter(body))


@pytest.mark.parametrize("finish", [close_early, close_unread, drop])
@pytest.mark.parametrize("path", ["/stream", "/file"])
def test_the_slot_is_given_back_however_a_response_ends(recorded: Recorded, path: str, finish: Any) -> None:
    handler = WSGIHandler()
    ask(handler, "/users/7")
    recorded.profile(path)
    body: Any = handler(make_environ(path), lambda *_: None)
    assert len(recorded.agent.sampler.taken) == 1
    finish(body)
    del body
    gc.collect()
    assert not recorded.agent.sampler.taken
    assert recorded.last.operation == path


def test_a_stream_that_breaks_is_an_error(recorded: Recorded) -> None:
    with pytest.raises(OSError, match="disk"):
        ask(WSGIHandler(), "/broken")
    assert dict(recorded.last.log)["message"] == "disk"
    assert recorded.last.is_error
    assert dict(recorded.last.tags)["http.status_code"] == "200"


def test_a_file_stays_the_servers_to_send(recorded: Recorded) -> None:
    body: Any = WSGIHandler()({**make_environ("/file"), "wsgi.file_wrapper": FileWrapper}, lambda *_: None)
    assert type(body) is FileWrapper
    assert recorded.segments == []
    assert b"".join(body) == b"file"
    body.close()
    assert recorded.last.operation == "/file"
    assert ask(WSGIHandler(), "/file").body == b"file"


def test_the_apps_iterator_is_closed_once(recorded: Recorded) -> None:
    class Source:
        """An iterator with a close."""

        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

        def close(self) -> None:
            """Count."""
            self.closed += 1

    source = Source()
    response: Any = SWProfilerMiddleware(lambda request: StreamingHttpResponse(source))(RequestFactory().get("/x"))
    assert b"".join(response) == b"x"
    response.close()
    assert source.closed == 1
    assert len(recorded.segments) == 1


def test_a_stream_is_followed_only_where_its_segment_is_sent(recorded: Recorded) -> None:
    source = iter([b"x"])

    def stream(request: HttpRequest) -> StreamingHttpResponse:
        request.resolver_match = resolve("/stream")
        response = StreamingHttpResponse()
        response.streaming_content = source
        return response

    with override_settings(SWPROF={"service_name": "shop", "trace_report": "profiled"}):
        middleware = SWProfilerMiddleware(stream)
        middleware._application.attach()
        kept: list[Any] = [middleware(RequestFactory().get("/x")) for _ in range(2)]
        kept[0].close()
        kept += [middleware(RequestFactory().get("/x"))]
    assert [type(response._iterator) is type(source) for response in kept] == [False, False, True]
    kept[1].close()
    assert [segment.operation for segment in recorded.segments] == ["/stream"]


# Not for Django's test client only


def test_djangos_own_test_client_sees_the_same(recorded: Recorded) -> None:
    from django.test import Client

    client = Client(raise_request_exception=False)
    assert client.get("/users/7").content == b"ok"
    assert client.get("/stream").getvalue() == b"xxx"
    assert client.get("/template").content == b"rendered"
    gc.collect()
    assert [segment.operation for segment in recorded.segments] == ["/users/<int:uid>", "/stream", "/template"]
