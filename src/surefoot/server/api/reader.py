"""Whoever follows a run, and what of it he may be told as things stand."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from surefoot.access import permission
from surefoot.server.entry import guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from surefoot.server.api.asked import Asked

_READ = permission("run:read")


class Reader:
    """Says whether somebody may follow a run, and whether he sees what it holds as it was.

    A run may go on for hours, and a token be revoked meanwhile, so both are asked anew every `every` seconds, and where
    a run turns out to be another one: of a key that was taken.
    """

    def __init__(self, sees: Callable[[str], bool | None], *, every: float) -> None:
        """sees: of a run by its id, whether he sees it as it was; None where he may not follow it. Blocks."""
        self.every = every
        self.is_exact = False
        self.may_follow = True
        self._sees = sees
        self._run_id: str = ""
        self._until = 0.0

    async def follows(self, run_id: str) -> bool:
        """Whether he may follow a run, which sets `is_exact` too. Raises `LedgerError` and `WorldError`."""
        now = time.monotonic()
        if run_id != self._run_id or now >= self._until:
            self._run_id, self._until = run_id, now + self.every
            seen = await run_in_threadpool(self._sees, run_id)
            self.may_follow, self.is_exact = seen is not None, bool(seen)
        return self.may_follow


def reader_of(asked: Asked, *, begun: str = "") -> Reader:
    """Whoever has sent a request. `begun` is the run that he begins by it, unless its key turns out to be taken."""
    caller = guard.caller_of(asked.request)

    def sees(run_id: str) -> bool | None:
        if not caller.is_still_admitted():
            return None
        if run_id == begun:
            return True
        known = asked.record
        run = known if known is not None and known.id == run_id else asked.app.ledger.run(run_id)
        about = replace(asked.resource, kind="run", name=run.flow)
        if run.principal != caller.principal.who and not caller.may_now(_READ, about):
            return None
        return asked.reads_exactly(run)

    return Reader(sees, every=asked.app.config.access.refresh)
