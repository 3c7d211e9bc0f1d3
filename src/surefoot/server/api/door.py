"""From a request that was let in to its endpoint, and from errors to answers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from starlette.routing import Route

from surefoot.access import LOCAL
from surefoot.server.api.asked import Asked
from surefoot.server.api.problems import Problem, answer_to
from surefoot.server.entry import guard
from surefoot.server.entry.caller import RUN
from surefoot.server.entry.told import TOLD

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from surefoot.app import App
    from surefoot.server.entry.rule import Method, Rules
    from surefoot.server.served import Served
    from surefoot.server.working.figures import Figures

Endpoint = Callable[[Asked], Awaitable["Response"]]


class Door:
    """Hands requests that were let in to endpoints: with who asks, and the flow or run that the path names."""

    def __init__(self, app: App, served: Served, figures: Figures) -> None:
        self._app = app
        self._served = served
        self._figures = figures

    def routes(self, endpoints: Mapping[tuple[Method, str], Endpoint], rules: Rules) -> list[Route]:
        """A route for each endpoint; whether each has a rule is asked where they are put behind these."""
        return [
            Route(
                path,
                self._called(path, endpoint, is_open=(method, path) in rules and rules[method, path].is_open),
                methods=[method],
            )
            for (method, path), endpoint in endpoints.items()
        ]

    def _called(
        self, path: str, endpoint: Endpoint, *, is_open: bool
    ) -> Callable[[Request], Awaitable[Response]]:
        async def called(request: Request) -> Response:
            began = time.monotonic()
            try:
                response = await endpoint(self._open(request) if is_open else self._asked(request))
            except Exception as error:  # noqa: BLE001  (each becomes an answer)
                response = answer_to(request, error)
            self._figures.answered(path, response.status_code, time.monotonic() - began)
            return response

        return called

    def _open(self, request: Request) -> Asked:
        """A request of which nobody asks from whom it is."""
        return Asked(self._app, request, LOCAL, self._app.access.resource("server"))

    def _asked(self, request: Request) -> Asked:
        caller = guard.caller_of(request)
        name = request.path_params.get("flow")
        served = None
        if name is not None and (served := self._served.get(name)) is None:
            raise Problem(404, f"no flow {name[:80]!r} is served here: GET /flows lists those that are")
        resource = caller.admitted[1] if caller.admitted is not None else self._app.access.resource("server")
        record, told = request.scope.get(RUN), request.scope.get(TOLD)
        return Asked(self._app, request, caller.principal, resource, served, record, told)
