"""What its author got wrong: a type checker says so, at each line that names an error."""

from __future__ import annotations

from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware

import swprof_mw
from swprof_mw import wsgi
from swprof_mw.asgi import SWProfilerMiddleware
from swprof_mw.flask import SWProfiler
from swprof_mw.settings import Settings

flask_app = Flask("shop")
SWProfiler(flask_app, servicename="shop")  # [call-arg]
SWProfiler(flask_app, profile_max_parallel="many")  # [arg-type]
SWProfiler(flask_app, transport="http")  # [arg-type]
SWProfiler("shop")  # [arg-type]
SWProfiler().init_app(Starlette())  # [arg-type]

starlette_app = Starlette()
starlette_app.add_middleware(SWProfilerMiddleware, servicename="shop")  # [call-arg]
starlette_app.add_middleware(SWProfilerMiddleware, profile_active=["no"])  # [arg-type]
FastAPI().add_middleware(SWProfilerMiddleware, url_tag="none")  # [arg-type]
Middleware(SWProfilerMiddleware, service_nam="shop")  # [call-arg]
SWProfilerMiddleware(starlette_app, trace_report="some")  # [arg-type]
SWProfilerMiddleware(starlette_app, trace_reports="all")  # [call-arg]
wsgi.SWProfilerMiddleware(flask_app, servicename="shop")  # [call-arg]
wsgi.SWProfilerMiddleware(7)  # [arg-type]

SETTINGS: Settings = {"service": "shop"}  # [typeddict-unknown-key]
OTHERS: Settings = {"force_tls": "on"}  # [typeddict-item]

swprof_mw.set_endpoint(7)  # [arg-type]
swprof_mw.sw8()  # [call-arg]
swprof_mw.sw8("stock:8080").upper()  # [union-attr]
number: int = swprof_mw.trace_id()  # [assignment]
sent: int = swprof_mw.stats().segment.sent  # [attr-defined]
swprof_mw.statistic()  # [attr-defined]
