"""What is asked of the apps, and what their profiles have to show."""

from __future__ import annotations

#: Functions of ours that a request's stacks lead through, by its path without the last part.
FUNCTIONS = {
    "/flask": ("own_view", "own_work"),
    "/worker": ("own_worker", "own_work"),
    "/loop": ("own_coroutine",),
    "/executor": ("own_work",),
}
ROUTES = {"/flask": "/flask/<x>", "/worker": "/worker/{x}", "/loop": "/loop/{x}", "/executor": "/executor/{x}"}
#: What the package ``elasticapm`` is told of where it reports to.
ELASTIC = {"SERVER_URL": "http://127.0.0.1:1", "SERVICE_NAME": "shop"}
