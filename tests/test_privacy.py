"""Secrets in everything that a request has: none of them is in what is sent, nor in the log."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import swprof_mw
from swprof_mw import agent, failures
from swprof_mw.application import Application
from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.flask import SWProfiler
from swprof_mw.reporter import reporter as reporter_module
from swprof_mw.wsgi.entry import WSGIEntry
from tests.asgi_driver import Exchanged, http
from tests.faulty import SNAPSHOTS, Backend
from tests.recorded import Recorded
from tests.sites import django_site, flask_site, starlette_site
from tests.sites.common import LOCAL_SECRET, Failure, private
from tests.wsgi_client import ask

TOKEN = "token-secret"
PATH = "path-secret"
MESSAGE = "message-secret"
HEADERS = {
    "Authorization": "Bearer header-secret",
    "Cookie": "session=cookie-secret",
    "X-Api-Key": "header-secret",
    "User-Agent": "agent-secret",
    "Referer": "http://shop.test/?referer-secret",
    "sw8": "1-sw8-secret",
    "sw8-correlation": "correlation-secret",
    "traceparent": "traceparent-secret",
}
QUERY = "token=query-secret"
BODY = b"body-secret"
SECRETS = ["header-secret", "cookie-secret", "agent-secret", "referer-secret", "sw8-secret", "correlation-secret"]
SECRETS += ["traceparent-secret", "query-secret", "body-secret", LOCAL_SECRET, TOKEN, "environment-secret"]

#: Sends one request to ``/private/path-secret``, or to another path; with these headers and this query.
Ask = Callable[..., None]


def _wsgi(app: Any) -> Ask:
    def send(path: str, query: str = "", **headers: str) -> None:
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        given = {"wsgi.input": io.BytesIO(BODY), "CONTENT_LENGTH": str(len(BODY)), **environ}
        with contextlib.suppress(Failure):
            ask(app, f"{path}?{query}", "POST", **given)

    return send


def _asgi(app: Any) -> Ask:
    def send(path: str, query: str = "", **headers: str) -> None:
        exchanged = Exchanged([{"type": "http.request", "body": BODY, "more_body": False}])
        scope = http(
            path, "POST", [(name.lower(), value) for name, value in headers.items()], query_string=query.encode()
        )
        with contextlib.suppress(Failure):
            asyncio.run(app(scope, exchanged.receive, exchanged.send))

    return send


def plain_wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    """An app without a framework."""
    given = {key.removeprefix("HTTP_").lower(): str(value) for key, value in environ.items() if key.isupper()}
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
    answer = private({**given, "body": body}) if PATH in environ["PATH_INFO"] else "hello"
    start_response("200 OK", [("Set-Cookie", "a=cookie-secret")])
    return [answer.encode()]


async def plain_asgi(scope: Any, receive: Any, send: Any) -> None:
    """An app without a framework."""
    given = {name.decode(): value.decode() for name, value in scope["headers"]}
    given |= {"query": scope["query_string"].decode(), "body": (await receive())["body"].decode()}
    answer = private(given) if PATH in scope["path"] else "hello"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"set-cookie", b"a=cookie-secret")]})
    await send({"type": "http.response.body", "body": answer.encode()})


def _flask() -> Ask:
    app = flask_site.make_site()
    return _wsgi(SWProfiler(app))


#: By framework: a client of its site, and what a task asks for.
SITES: dict[str, tuple[Callable[[], Ask], str]] = {
    "flask": (_flask, "/private/<word>"),
    "django under WSGI": (lambda: _wsgi(django_site.make_wsgi(with_us=True)), "/private/<word>"),
    "django under ASGI": (lambda: _asgi(django_site.make_asgi(with_us=True)), "/private/<word>"),
    "starlette": (lambda: _asgi(SWProfilerMiddleware(starlette_site.make_site())), "/private/{word}"),
    "plain WSGI": (lambda: _wsgi(WSGIEntry(Application(1, {}), plain_wsgi)), f"/private/{PATH}"),
    "plain ASGI": (lambda: _asgi(SWProfilerMiddleware(plain_asgi)), f"/private/{PATH}"),
}
ROUTED = ["flask", "django under WSGI", "django under ASGI", "starlette"]


class Seen:
    """What left the process, and what was logged."""

    def __init__(self, backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
        self._backend = backend
        self._caplog = caplog

    @property
    def sent(self) -> bytes:
        """All messages, as they went over the wire."""
        return b"\n".join(each.SerializeToString() for call in self._backend.received for each in call.messages)

    @property
    def logged(self) -> str:
        """All lines of ours, tracebacks included."""
        formatter = logging.Formatter()
        ours = [record for record in self._caplog.records if record.name.startswith("swprof_mw")]
        return "\n".join(map(formatter.format, ours))

    def everything(self) -> bytes:
        """Both, and what anybody in the process may ask us."""
        return self.sent + self.logged.encode() + repr((swprof_mw.stats(), agent.current())).encode()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Seen]:
    """A backend that wants our token; the settings come from the environment."""
    caplog.set_level(logging.DEBUG)
    failures._last.clear()
    monkeypatch.setattr(reporter_module, "FLUSH_INTERVAL", 0.05)
    monkeypatch.setenv("SW_AGENT_NAME", "site")
    monkeypatch.setenv("SW_AGENT_AUTHENTICATION", TOKEN)
    monkeypatch.setenv("DATABASE_URL", "environment-secret")
    with Backend(token=TOKEN) as backend, django_site.settings(SWPROF={}):
        monkeypatch.setenv("SW_AGENT_COLLECTOR_BACKEND_SERVICES", backend.address)
        yield Seen(backend, caplog)


def profile(kind: str, seen: Seen, message: str = "") -> None:
    """A request of this kind of app, full of secrets, is profiled; all that is queued is sent."""
    make, endpoint = SITES[kind]
    client = make()
    client("/")
    Recorded().profile(endpoint)
    client(f"/private/{PATH}", QUERY, **HEADERS, **({"message": message} if message else {}))
    Recorded().settle()
    agent.shut_down(timeout=4.0)
    assert seen._backend.messages(SNAPSHOTS), "no snapshot was sent"


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("kind", SITES)
def test_no_secret_leaves_the_process(seen: Seen, monkeypatch: pytest.MonkeyPatch, kind: str, fails: bool) -> None:
    monkeypatch.setenv("SWPROF_EXCEPTION_MESSAGES", "off")
    profile(kind, seen, MESSAGE if fails else "")
    # That it can be found if it is there.
    for shown in (b"/private", b"work_until_sampled: ", b"http.url", b"site"):
        assert shown in seen.sent, shown
    assert (b"Failure" in seen.sent) == fails
    for secret in [*SECRETS, MESSAGE]:
        assert secret.encode() not in seen.everything(), secret
    assert {call.token for call in seen._backend.received} == {TOKEN}


@pytest.mark.parametrize("kind", SITES)
@pytest.mark.parametrize("shown", [True, False])
def test_the_message_of_an_exception_is_sent_if_the_setting_says_so(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, kind: str, shown: bool
) -> None:
    monkeypatch.setenv("SWPROF_EXCEPTION_MESSAGES", "on" if shown else "off")
    profile(kind, seen, MESSAGE)
    assert (MESSAGE.encode() in seen.sent) == shown
    # Its type and the places that it went through are, in any case.
    assert b"tests.sites.common.Failure" in seen.sent
    assert b"in private" in seen.sent
    assert MESSAGE not in seen.logged


@pytest.mark.parametrize("kind", ROUTED)
@pytest.mark.parametrize(("setting", "shown"), [("path", True), ("route", False), ("off", False)])
def test_the_path_is_sent_if_the_setting_says_so(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, kind: str, setting: str, shown: bool
) -> None:
    monkeypatch.setenv("SWPROF_URL_TAG", setting)
    profile(kind, seen)
    assert (PATH.encode() in seen.sent) == shown
    assert (b"http.url" in seen.sent) == (setting != "off")
    assert SITES[kind][1].encode() in seen.sent
    assert PATH not in seen.logged


def test_a_token_that_the_backend_refuses_is_not_logged(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SW_AGENT_AUTHENTICATION", "wrong-secret")
    client = SITES["flask"][0]()
    client("/")
    seen._backend.wait(lambda: "refuses" in seen.logged)
    assert b"wrong-secret" not in seen.everything()
    assert TOKEN.encode() not in seen.everything()


def test_what_the_app_was_handling_is_not_in_our_line_of_the_log(seen: Seen) -> None:
    """When something of ours fails while an app handles an exception of its own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            raise Failure(MESSAGE)
        except Failure:
            await send({"body": b"body-secret", "status": "status-secret"})

    _asgi(SWProfilerMiddleware(app))("/")
    assert "swprof_mw failed in following a response" in seen.logged
    assert "KeyError: 'type'" in seen.logged
    for secret in (MESSAGE, "body-secret", "status-secret"):
        assert secret not in seen.logged


@pytest.mark.parametrize(
    "change",
    [
        {"PATH_INFO": b"path-secret", "SCRIPT_NAME": b"path-secret"},
        {"PATH_INFO": ["path-secret"]},
        {"REQUEST_METHOD": b"path-secret"},
        {"REQUEST_METHOD": ["path-secret"]},
    ],
)
def test_an_environ_that_is_not_as_wsgi_has_it_is_not_logged(seen: Seen, change: dict[str, Any]) -> None:
    traced = WSGIEntry(Application(1, {}), plain_wsgi)
    with contextlib.suppress(TypeError):
        ask(traced, "/", **{"HTTP_AUTHORIZATION": "header-secret", **change})
    assert "reading the WSGI environ" in seen.logged
    assert "-secret" not in seen.logged


@pytest.mark.parametrize(
    "change",
    [
        {"headers": [(b"authorization", b"header-secret", b"more")]},
        {"headers": [(b"sw8", "header-secret")]},
        {"headers": [b"header-secret"]},
        {"client": ("client-secret", 1, 2)},
        {"client": "client-secret"},
        {"path": b"path-secret"},
        {"method": ["path-secret"]},
        {"root_path": {"path-secret": 1}},
    ],
)
def test_a_scope_that_is_not_as_asgi_has_it_is_not_logged(seen: Seen, change: dict[str, Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Nothing."""

    exchanged = Exchanged()
    asyncio.run(SWProfilerMiddleware(app)({**http("/"), **change}, exchanged.receive, exchanged.send))
    assert "not as ASGI has it" in seen.logged
    assert "-secret" not in seen.logged
