"""The server itself: the flows that it serves, how it is, its figures and its description."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from surefoot import flows, scope
from surefoot.access import permission
from surefoot.errors import LedgerError
from surefoot.ledger import statuses
from surefoot.server.api.answers import told
from surefoot.server.api.problems import Problem
from surefoot.server.entry import guard
from surefoot.server.openapi import described, example_of
from surefoot.server.working.figures import MEDIA_TYPE

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.server.api.asked import Asked
    from surefoot.server.crew.tally import Tally
    from surefoot.server.entry.rule import Rules
    from surefoot.server.served import Served, ServedFlow
    from surefoot.server.working.executor import Executor
    from surefoot.server.working.figures import Figures
    from surefoot.values import Json

log = scope.logger("surefoot.server")

_FRESH_S = 1.0


class ServerPages:
    """The endpoints of the server itself."""

    def __init__(
        self,
        app: App,
        served: Served,
        executor: Executor,
        figures: Figures,
        *,
        rules: Rules,
        is_open: bool,
        tally: Tally | None = None,
    ) -> None:
        """tally: the figures of all processes of this server, where there are several."""
        self._app = app
        self._rules = rules
        self._is_open = is_open
        self._served = served
        self._executor = executor
        self._figures = figures
        self._tally = tally
        self._look: asyncio.Future[bool] | None = None
        self._looked = 0.0

    async def health(self, asked: Asked) -> Response:  # noqa: ARG002
        """GET /healthz: the process lives. Whether it should be sent requests tells /readyz."""
        return told({"status": "ok"})

    async def ready(self, asked: Asked) -> Response:  # noqa: ARG002
        """GET /readyz: it takes runs: the ledger can be read, the server does not stop, and the queue has room."""
        problem = ""
        if self._executor.is_draining:
            problem = "the server is about to stop"
        elif self._executor.room == 0:
            problem = "the queue is full"
        elif not await self._reaches():
            # Why is in the log: whoever asks here need not show who he is.
            problem = "the ledger cannot be read"
        if problem:
            raise Problem(503, problem, kind="not-ready", headers={"retry-after": "1"})
        return told({"status": "ready"})

    async def _reaches(self) -> bool:
        """Whether the ledger can be read, as one look told that all share who ask meanwhile, and a moment later."""
        if self._look is None or (self._look.done() and time.monotonic() - self._looked > _FRESH_S):
            self._look = asyncio.ensure_future(run_in_threadpool(self._can_be_read))
        return await asyncio.shield(self._look)

    def _can_be_read(self) -> bool:
        try:
            self._app.ledger.format()
        except LedgerError as error:
            log.warning("the server is not ready: %s", error)
            return False
        finally:
            self._looked = time.monotonic()
        return True

    async def metrics(self, asked: Asked) -> Response:  # noqa: ARG002
        """GET /metrics."""
        unfinished = await run_in_threadpool(statuses, self._app.ledger, sorted(self._served))
        if self._tally is not None:
            figures, gauges = await run_in_threadpool(self._tally.of_all)
        else:
            figures, gauges = self._figures, self._executor.gauges()
        behind = await run_in_threadpool(self._app.traces_behind)
        text = figures.text(gauges=gauges, runs=unfinished, behind=behind)
        return Response(text, media_type=MEDIA_TYPE)

    async def flows(self, asked: Asked) -> Response:
        """GET /flows: those that whoever asks may see."""
        seen = [
            {"name": one.name, "version": one.spec.version, "description": one.description}
            for one in self._seen(asked)
        ]
        return told({"flows": seen})

    async def flow(self, asked: Asked) -> Response:
        """GET /flows/{flow}."""
        served = asked.flow
        schema = flows.schema_of(served.spec)
        value = {
            "name": served.name,
            "version": served.spec.version,
            "description": served.description,
            "is_async": served.spec.is_async,
            "uses": None if served.spec.uses is None else list(served.spec.uses),
            "inputs": schema,
            "output": flows.schema_of_result(served.spec),
            "example": {"inputs": example_of(schema)},
        }
        return told(value)

    async def openapi(self, asked: Asked) -> Response:
        """GET /openapi.json: with the flows that whoever asks may see."""
        seen = self._seen(asked)

        def document() -> dict[str, Json]:
            return described(
                seen,
                self._rules,
                title=self._app.settings.root.name,
                max_batch=self._executor.settings.max_batch,
                is_open=self._is_open,
            )

        return told(await run_in_threadpool(document))

    def _seen(self, asked: Asked) -> list[ServedFlow]:
        needed = permission("flow:read")
        return [
            self._served[name]
            for name in sorted(self._served)
            if guard.may(
                asked.request,
                needed,
                self._app.access.resource("flow", name, organisation=asked.organisation),
            )
        ]
