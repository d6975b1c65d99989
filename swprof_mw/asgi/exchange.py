"""One request's messages: which status it gets, and which message is its last."""

from __future__ import annotations

from swprof_mw.asgi.head import header
from swprof_mw.asgi.types import Message
from swprof_mw.failures import failed

_SWITCHED = 101
_FORBIDDEN = 403

_STARTS = ("http.response.start", "websocket.http.response.start")
_BODIES = ("http.response.zerocopysend", "websocket.http.response.body")
_DISCONNECTS = ("http.disconnect", "websocket.disconnect")


class Exchange:
    """What has passed between the app and the server so far.

    Its methods do not raise: a message that is not as ASGI has it is for whom it is sent to.

    Attributes:
        status: the HTTP status that the app answered with, 0 before; for a WebSocket 101 once it is accepted.
        is_long_lived: whether the client decides how long it takes: an accepted WebSocket, a ``text/event-stream``.
    """

    # Until something else is known: the class's, so that one costs less to make.
    status = 0
    is_long_lived = False
    _trailers = False

    def ends_with(self, message: Message) -> bool:
        """The app sends ``message``; whether it is the last one of the request."""
        try:
            kind = message["type"]
            # What most responses are made of comes first.
            if kind == "http.response.body":
                return not (message.get("more_body") or self._trailers)
            if kind in _STARTS:
                self.status = status = int(message["status"])
                self._trailers = bool(message.get("trailers"))
                content = header(message.get("headers") or (), b"content-type")
                self.is_long_lived = status == _SWITCHED or content.startswith(b"text/event-stream")
                return False
            return self._ends_otherwise(kind, message)
        except Exception:  # noqa: BLE001
            failed("following a response")
            return False

    def is_gone(self, message: Message) -> bool:
        """The app was given ``message``; whether it says that the client is gone."""
        try:
            return message["type"] in _DISCONNECTS
        except Exception:  # noqa: BLE001
            failed("following a request")
            return False

    def _ends_otherwise(self, kind: str, message: Message) -> bool:
        if kind in _BODIES:
            return not (message.get("more_body") or self._trailers)
        if kind == "http.response.trailers":
            return not message.get("more_trailers")
        if kind == "websocket.accept":
            self.status = _SWITCHED
            self.is_long_lived = True
        elif kind == "websocket.close":
            self.status = self.status or _FORBIDDEN
            return True
        return bool(kind == "http.response.pathsend")
