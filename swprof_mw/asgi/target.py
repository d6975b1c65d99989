"""A place that a request can be routed to."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

#: What Starlette puts behind the path of a mount.
REST = "/{path}"


class Kind(Enum):
    """ROUTE: a route. ROUTER: a mounted app whose routes are known too. APP: a mounted app of any other kind."""

    ROUTE = 0
    ROUTER = 1
    APP = 2


#: What is compared for each request: read from the class, a kind takes eight times as long in Python 3.11.
ROUTE, ROUTER, APP = Kind.ROUTE, Kind.ROUTER, Kind.APP


class Target(NamedTuple):
    """Where a request can be routed to.

    Attributes:
        template: from the outermost router on, for example ``/shops/{shop}/items/{item_id}``; of a mounted app
            its prefix and ``/{path}``.
        kind: what is there.
        endpoint: the view or the mounted app: what routing leaves in the scope.
        chain: the mounts that lead there, outermost first, and the route itself.
    """

    template: str
    kind: Kind
    endpoint: Any = None
    chain: tuple[Any, ...] = ()

    @property
    def prefix(self) -> str:
        """Of a mounted app: the template of what comes before the app's own routes."""
        return self.template.removesuffix(REST)
