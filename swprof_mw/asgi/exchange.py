"""One request's messages: which status it gets, and which message is its last."""

from __future__ import annotations

from typing import Any

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
        is_one_piece: whether the body of the answer was sent by one message.
    """

    # Until something else is known: the class's, so that one costs less to make.
    status = 0
    is_one_piece = False
    _headers: Any = ()
    _is_streamed = False
    _trailers = False

    @property
    def is_long_lived(self) -> bool:
        """Whether the client decides how long it takes: an accepted WebSocket, a ``text/event-stream``."""
        try:
            if self.status == _SWITCHED:
                return True
            return header(self._headers, b"content-type").startswith(b"text/event-stream")
        except Exception:  # noqa: BLE001
            failed("following a response")
            return False

    def ends_with(self, message: Message) -> bool:
        """The app sends ``message``; whether it is the last one of the request."""
        try:
            kind = message["type"]
            # What most responses are made of comes first.
            if kind == "http.response.body":
                if message.get("more_body"):
                    self._is_streamed = True
                    return False
                self.is_one_piece = not self._is_streamed
                return not self._trailers
            if kind in _STARTS:
                self.status = int(message["status"])
                if message.get("trailers"):
                    self._trailers = True
                self._headers = message.get("headers") or ()
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
        elif kind == "websocket.close":
            self.status = self.status or _FORBIDDEN
            return True
        return bool(kind == "http.response.pathsend")
