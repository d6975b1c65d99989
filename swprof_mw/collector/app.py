"""The HTTP side: what the page's server shows is a store."""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp

from swprof_mw import __version__
from swprof_mw.collector.graphql import Api, BadRequest
from swprof_mw.collector.store import Store
from swprof_mw.page import app as page
from swprof_mw.page.questions import Question
from swprof_mw.page.server import joined, reachable
from swprof_mw.page.source import Answer, as_json
from swprof_mw.query.client import OapError, Queries, data


def app(store: Store, host: str = "localhost", token: str = "", grpc_port: int = 0) -> ASGIApp:
    """The app that answers from ``store``. An error is ``{"errors": [{"message": …}]}`` with a fitting status.

    Args:
        store: what is told.
        host: the name or address that was listened on, and that people ask for.
        token: what each request for data must show as ``Authorization: Bearer``; empty: nothing.
        grpc_port: where agents report to; 0: that is not told.
    """

    def about(name: str) -> dict[str, Any]:
        backend = joined(reachable(host, name), grpc_port) if grpc_port else None
        return {"version": __version__, "backend": backend, "oap": None}

    return page.app(Stored(store), about, host, token)


class Stored:
    """A store as what the page shows."""

    def __init__(self, store: Store) -> None:
        self._api = Api(store)
        self.queries = _Queries(self._api)

    def answer(self, question: Question) -> Answer:
        """The answer, with status 400 if it is no query that is answered."""
        try:
            found = self._api.answer(question.query, question.variables, question.operation)
        except BadRequest as error:
            return Answer(400, as_json({"errors": error.errors}))
        return Answer(200, as_json(found))


class _Queries(Queries):
    def __init__(self, api: Api) -> None:
        self._api = api

    def query(self, text: str, **variables: Any) -> Any:
        try:
            return data(self._api.answer(text, variables), "the collector")
        except BadRequest as error:
            raise OapError(str(error)) from error
