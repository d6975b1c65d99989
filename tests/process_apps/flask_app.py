"""Flask. With ``WARM_UP`` set, it answers a request of its own while it is being loaded."""

from __future__ import annotations

import os

from flask import Flask

from swprof_mw.flask import SWProfiler
from tests.process_apps.work import answer, split, work

app = Flask(__name__)
app.wsgi_app = SWProfiler(app, service_name="shop")  # type: ignore[method-assign]
app.add_url_rule("/", view_func=answer)
app.add_url_rule("/work", view_func=work)
app.add_url_rule("/split/<how>", view_func=split)

if os.environ.get("WARM_UP"):
    assert app.test_client().get("/warm").status_code == 404
