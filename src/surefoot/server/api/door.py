"""The way of every request: who sends it, what it is about, whether he may; errors become answers here."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from surefoot.access import LOCAL, kind_of
from surefoot.errors import UnknownRun
from surefoot.server.api.asked import Asked
from surefoot.server.api.problems import Problem, answer, problem_of
from surefoot.server.api.table import RULES, Method, Rule
from surefoot.server.entry import guard
from surefoot.values import new_id

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from surefoot.access import Principal, Resource
    from surefoot.app import App
    from surefoot.ledger import RunRecord
    from surefoot.server.served import Served
    from surefoot.server.working.figures import Figures

Endpoint = Callable[[Asked], Awaitable["Response"]]
_ID_LENGTH = 26


class Door:
    """Lets requests in. What a route needs is in the table alone, and is asked for here alone."""

    def __init__(self, app: App, served: Served, figures: Figures) -> None:
        self._app = app
        self._served = served
        self._figures = figures

    def routes(
        self,
        endpoints: Mapping[tuple[Method, str], Endpoint],
        rules: Mapping[tuple[Method, str], Rule] = RULES,
    ) -> list[Route]:
        """A route for each endpoint. Raises `LookupError` for an endpoint without a rule, and the other way round."""
        if endpoints.keys() != rules.keys():
            apart = sorted(f"{method} {path}" for method, path in endpoints.keys() ^ rules.keys())
            raise LookupError(f"routes and the table of what they need differ: {', '.join(apart)}")
        return [
            Route(path, self._guarded(path, rules[method, path], endpoint), methods=[method])
            for (method, path), endpoint in endpoints.items()
        ]

    def _guarded(self, path: str, rule: Rule, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            began = time.monotonic()
            request_id = getattr(request.state, "request_id", "") or new_id()
            request.state.request_id = request_id
            try:
                response = await endpoint(await self._let_in(request, rule))
            except Exception as error:  # noqa: BLE001  (each becomes an answer)
                response = answer(request, problem_of(error))
            response.headers["x-request-id"] = request_id
            self._figures.answered(path, response.status_code, time.monotonic() - began)
            return response

        return guarded

    async def _let_in(self, request: Request, rule: Rule) -> Asked:
        if rule.permission is None:
            return Asked(request, LOCAL, self._app.access.resource("server"))
        principal = guard.principal_of(request)
        record: RunRecord | None = None
        name = ""
        match rule.thing:
            case "run":
                record = await self._record(request.path_params["run"], principal)
                name = record.flow
            case "flow":
                name = request.path_params["flow"]
            case "runs":
                name = request.query_params.get("flow", "")
            case _:
                pass
        resource = self.resource(rule, name, principal)
        # In lists of flows each is asked for by itself.
        if rule.thing != "flows":
            principal = guard.allowed(request, rule.permission, resource)
        served = None
        if rule.thing == "flow" and (served := self._served.get(name)) is None:
            raise Problem(404, f"no flow {name[:80]!r} is served here: GET /flows lists those that are")
        return Asked(request, principal, resource, served, record)

    def resource(self, rule: Rule, name: str, principal: Principal) -> Resource:
        """The thing that a rule's permission is asked for, of the organisation of whoever asks."""
        kind = kind_of(rule.permission) if rule.permission is not None else "server"
        return self._app.access.resource(kind, name, organisation=principal.organisation)

    async def _record(self, run_id: str, principal: Principal) -> RunRecord:
        """A run by its whole id. One of another organisation is answered as one that there is not."""
        if len(run_id) == _ID_LENGTH and run_id.isascii() and run_id.isalnum():
            try:
                record = await run_in_threadpool(self._app.ledger.run, run_id)
            except UnknownRun:
                record = None
            if record is not None and record.id == run_id and record.tenant == principal.organisation:
                return record
        raise Problem(404, f"there is no run {run_id[:_ID_LENGTH]!r}")
