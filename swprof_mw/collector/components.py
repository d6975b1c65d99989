"""Names of the component ids that a Python web agent sends, as SkyWalking's registry has them."""

from __future__ import annotations

NOT_KNOWN = "N/A"

NAMES = {
    7000: "Python",
    7001: "Flask",
    7004: "Django",
    7005: "Tornado",
    7007: "Sanic",
    7008: "AioHttp",
    7009: "Pyramid",
    7012: "Falcon",
    7014: "FastAPI",
    7015: "Bottle",
    7018: "Websockets",
}


def name(component_id: int) -> str:
    """The component's name; ``N/A`` for an id that is not known, as in OAP."""
    return NAMES.get(component_id, NOT_KNOWN)
