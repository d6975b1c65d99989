"""One request's messages: which status it gets, and which message is its last."""

from __future__ import annotations

from swprof_mw.asgi.head import header
from swprof_mw.asgi.types import Message

_SWITCHED = 101
_FORBIDDEN = 403

_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})
_BODIES = frozenset({"http.response.body", "http.response.zerocopysend", "websocket.http.response.body"})
_DISCONNECTS = frozenset({"http.disconnect", "websocket.disconnect"})


class Exchange:
    """What has passed between the app and the server so far.

    Attributes:
        status: the HTTP status that the app answered with, 0 before; for a WebSocket 101 once it is accepted.
    """

    __slots__ = ("_events", "_trailers", "status")

    def __init__(self) -> None:
        self.status = 0
        self._events = False
        self._trailers = False

    @property
    def is_long_lived(self) -> bool:
        """Whether the client decides how long it takes: an accepted WebSocket, a ``text/event-stream``."""
        return self._events or self.status == _SWITCHED

    def note_sent(self, message: Message) -> bool:
        """The app sends ``message``; whether it is the last one of the request."""
        kind = message["type"]
        if kind in _STARTS:
            self._start(message)
        elif kind in _BODIES:
            return not (message.get("more_body") or self._trailers)
        elif kind == "http.response.trailers":
            return not message.get("more_trailers")
        elif kind == "websocket.accept":
            self.status = _SWITCHED
        elif kind == "websocket.close":
            self.status = self.status or _FORBIDDEN
            return True
        return bool(kind == "http.response.pathsend")

    def note_received(self, message: Message) -> bool:
        """The app was given ``message``; whether it says that the client is gone."""
        return message["type"] in _DISCONNECTS

    def _start(self, message: Message) -> None:
        self.status = int(message["status"])
        self._trailers = bool(message.get("trailers"))
        self._events = header(message.get("headers") or (), b"content-type").startswith(b"text/event-stream")
