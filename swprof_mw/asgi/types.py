"""ASGI's shapes, as this package uses them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
# They should return None. What they do return is passed on: servers complain of it.
Send = Callable[[Message], Awaitable[Any]]
# Each framework has types of its own for the three, which do not accept each other's.
ASGIApp = Callable[..., Awaitable[Any]]
