"""FastAPI: a ``def`` and an ``async def`` endpoint of each kind."""

from fastapi import FastAPI

from bench.apps import work
from swprof_mw.asgi import SWProfilerMiddleware

app = FastAPI()
app.add_middleware(SWProfilerMiddleware)


@app.get("/own/sync")
def own_sync(burst: str = "", total: str = "") -> dict[str, float]:
    """The profiled one, on a worker thread."""
    return work.own_work(work.order(burst, total))


@app.get("/own/async")
async def own_async(burst: str = "", total: str = "") -> dict[str, float]:
    """The profiled one."""
    return await work.own_work_async(work.order(burst, total))


@app.get("/other/sync")
def other_sync(burst: str = "", total: str = "") -> dict[str, float]:
    """One beside it, on a worker thread."""
    return work.other_work(work.order(burst, total))


@app.get("/other/async")
async def other_async(burst: str = "", total: str = "") -> dict[str, float]:
    """One beside it."""
    return await work.other_work_async(work.order(burst, total))
