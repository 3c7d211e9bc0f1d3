"""The kill switch over HTTP: what is switched off begins no more, and what runs of it is cancelled."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from surefoot.errors import LedgerError, SurefootError
from surefoot.server.api.answers import told
from surefoot.server.api.problems import Problem
from surefoot.server.api.reading import fields_of
from surefoot.server.entry import guard
from surefoot.server.working.cancelling import cancel

if TYPE_CHECKING:
    from starlette.responses import Response

    from surefoot.app import App
    from surefoot.server.api.asked import Asked
    from surefoot.values import Json, RunStatus

_UNDER_WAY: tuple[RunStatus, ...] = ("pending", "running", "waiting")
_WHAT = re.compile(r"flow:[^\x00-\x1f\x7f/\\]{1,256}\Z|user:|service:")
SWITCH_FIELDS = ("what", "off", "reason")


class SwitchPages:
    """The endpoints of the kill switch, each within the organisation of whoever asks."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def switches(self, asked: Asked) -> Response:
        """GET /switches."""
        found = await run_in_threadpool(self._app.access.switches.all)
        own: list[Json] = [
            {"what": one.what, "reason": one.reason, "by": one.by}
            for one in found
            if one.organisation == asked.organisation
        ]
        return told({"switched_off": own})

    async def switch(self, asked: Asked) -> Response:
        """POST /switches: `what` is `flow:NAME`, or somebody; `off` is whether it is to be off."""
        fields = fields_of(asked.request, SWITCH_FIELDS)
        what, reason = fields.text("what"), fields.text("reason") or ""
        if not what or _WHAT.match(what) is None:
            raise Problem(
                400, "what is to be switched? give flow:NAME, user:NAME, group:NAME or service:NAME"
            )
        is_off = fields.get("off") is None or fields.truth("off")
        cancelled = await run_in_threadpool(self._switched, asked, what, reason, is_off=is_off)
        return told({"what": what, "off": is_off, "cancelled": cancelled})

    def _switched(self, asked: Asked, what: str, reason: str, *, is_off: bool) -> list[Json]:
        switches, request_id = self._app.access.switches, guard.caller_of(asked.request).request_id
        by, organisation = asked.principal, asked.organisation
        if not is_off:
            switches.on(what, by=by, organisation=organisation, request_id=request_id)
            return []
        switches.off(what, by=by, organisation=organisation, reason=reason, request_id=request_id)
        said = f"{what} was switched off by {asked.principal.who}"
        return [*cancelled(self._app, what, asked.organisation, said)]


def cancelled(app: App, what: str, organisation: str, reason: str) -> list[str]:
    """Cancel all runs of a flow, or of somebody, that are under way; their ids. Raises `LedgerError`.

    One that another process holds ends there, at its next step.
    """
    kind, _, name = what.partition(":")
    flow, principal = (name, None) if kind == "flow" else (None, what)
    ids: list[str] = []
    for status in _UNDER_WAY:
        for run in app.ledger.runs(
            flow=flow, principal=principal, status=status, tenant=organisation, limit=None
        ):
            try:
                cancel(app, run.id, reason=reason)
            except LedgerError:
                raise
            except SurefootError:
                # It has ended meanwhile, or what it has done could not all be undone, which its record says.
                with suppress(SurefootError):
                    if app.ledger.run(run.id).status != "cancelled":
                        continue
            ids.append(run.id)
    return ids
