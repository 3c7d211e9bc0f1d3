"""The row of the audit on a request that begins a run: written with the run, or by itself where none came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from surefoot.server.entry import guard

if TYPE_CHECKING:
    from starlette.requests import Request

    from surefoot.ledger import AuditRow
    from surefoot.server.entry.caller import Caller
    from surefoot.server.working.job import Job


class Told:
    """What the audit is told of a request, once. Every request that was let in is told of before it is answered."""

    def __init__(self, caller: Caller, row: AuditRow) -> None:
        self.row = row
        self.job: Job | None = None
        """The run that takes the row along in the commit of its start."""
        self.is_written = False
        self._caller = caller

    @classmethod
    async def of(cls, request: Request) -> Told:
        """What is to be told. Raises `AccessDenied`, recorded, for what may not be done any more, and `LedgerError`."""
        caller = guard.caller_of(request)
        if caller.access.is_at_hand() and caller.access.decide(*guard.question_of(request)).is_allowed:
            return cls(caller, guard.row_of(request))
        # While the body was read his grant may have gone, or what is known of it grown old.
        return cls(caller, await run_in_threadpool(guard.row_of, request))

    async def settle(self) -> None:
        """See to it that the row is in the ledger. Raises `LedgerError`."""
        if self.job is not None and self.job.feed.is_opened:
            self.is_written = True
        if not self.is_written:
            # One that the ledger has by now all the same is left as it is: its id names it.
            await run_in_threadpool(self._caller.access.tell, self.row)
        elif self._caller.access.keeps_heads:
            await run_in_threadpool(self._caller.access.told, self.row)
        self.is_written = True
