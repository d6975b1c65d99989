"""The apps that are profiled beside another agent, and how."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import fastapi
import flask

import swprof_mw
from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.flask import SWProfiler
from swprof_mw.reporter.reporter import Reporter
from tests import asgi_driver
from tests.agents import names
from tests.recorded import Recorded
from tests.sampled import work, work_until_sampled
from tests.wsgi_client import ask

#: So many snapshots are waited for.
SNAPSHOTS = 10


def own_work() -> None:
    """Keep the processor busy; while a task runs, until it has been sampled."""
    if any(swprof_mw.stats().tasks.values()):
        work_until_sampled(SNAPSHOTS)
    else:
        work(0.01)


class Apps:
    """A Flask and a FastAPI app with our middleware, asked in turn.

    Args:
        tell: says what the other agent takes the current request for.
        with_elastic: whether Elastic's middleware is put in, since it does not come by itself.

    Attributes:
        told: by path, whether it took the request for one.
    """

    def __init__(self, tell: Callable[[], object], with_elastic: bool) -> None:
        Reporter.start = lambda self: None  # type: ignore[method-assign]
        self.told: dict[str, bool] = {}
        self._recorded = Recorded()
        self._tell = tell
        self._flask, self._fastapi = self._flask_app(), self._fastapi_app()
        if with_elastic:
            contrib = "elasticapm.contrib"
            importlib.import_module(f"{contrib}.flask").ElasticAPM(
                self._flask, server_url=names.ELASTIC["SERVER_URL"], service_name=names.ELASTIC["SERVICE_NAME"]
            )
            starlette: Any = importlib.import_module(f"{contrib}.starlette")
            self._fastapi.add_middleware(starlette.ElasticAPM, client=starlette.make_apm_client(names.ELASTIC))
        SWProfiler(self._flask, service_name="shop")
        self._fastapi.add_middleware(SWProfilerMiddleware, service_name="shop")

    def profiled(self, path: str) -> dict[str, object]:
        """What is reported of a request of this path, and sampled of another one while a task asks for it."""
        status = self._ask(path)
        self._recorded.profile(names.ROUTES[path])
        before = len(self._recorded.snapshots)
        self._ask(path)
        stacks = [snapshot.stack for snapshot in self._recorded.snapshots[before:]]
        tasks = self._recorded.service().tasks
        assert tasks.current is not None
        tasks.stop_current_profile_task(tasks.current)
        return {"status": status, "name": self._recorded.last.operation, "stacks": stacks}

    def _ask(self, path: str) -> int:
        if path == "/flask":
            return int(ask(self._flask, f"{path}/1").status[:3])
        return asgi_driver.call(self._fastapi, asgi_driver.http(f"{path}/1")).status

    def _note(self, path: str) -> None:
        self.told[path] = bool(self._tell())

    def _flask_app(self) -> flask.Flask:
        app = flask.Flask("shop")

        @app.get("/flask/<x>")
        def own_view(x: str) -> str:
            self._note("/flask")
            own_work()
            return x

        return app

    def _fastapi_app(self) -> fastapi.FastAPI:
        app = fastapi.FastAPI()

        @app.get("/worker/{x}")
        def own_worker(x: str) -> str:
            self._note("/worker")
            own_work()
            return x

        @app.get("/loop/{x}")
        async def own_coroutine(x: str) -> str:
            self._note("/loop")
            own_work()
            await asyncio.sleep(0.05)
            return x

        @app.get("/executor/{x}")
        async def own_executor(x: str) -> str:
            self._note("/executor")
            await asyncio.get_running_loop().run_in_executor(None, own_work)
            return x

        return app
