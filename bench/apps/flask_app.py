"""Flask: a sync and an async view of each kind."""

from flask import Flask, request

from bench.apps import work
from swprof_mw.flask import SWProfiler

app = Flask(__name__)
app.wsgi_app = SWProfiler(app)  # type: ignore[method-assign]


def asked() -> work.Order:
    """What this request asks for."""
    return work.order(request.args.get("burst"), request.args.get("total"))


@app.get("/own/sync")
def own_sync() -> dict[str, float]:
    """The profiled one."""
    return work.own_work(asked())


@app.get("/own/async")
async def own_async() -> dict[str, float]:
    """The profiled one, asynchronous."""
    return await work.own_work_async(asked())


@app.get("/other/sync")
def other_sync() -> dict[str, float]:
    """One beside it."""
    return work.other_work(asked())


@app.get("/other/async")
async def other_async() -> dict[str, float]:
    """One beside it, asynchronous."""
    return await work.other_work_async(asked())
