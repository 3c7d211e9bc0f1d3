"""The row of the audit on a request whose route writes it along: in the commit of what is done, or by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from surefoot.ledger import AuditRow
    from surefoot.server.entry.caller import Caller

TOLD = "surefoot.told"
"""Where the scope of a request has it."""


class Told:
    """What the audit is told of a request, once: before the head of the answer is sent, whatever came of it."""

    def __init__(self, caller: Caller, row: AuditRow) -> None:
        self.row = row
        self.is_done: Callable[[], bool] = lambda: False
        """Whether what takes the row along is committed by now, so that the row is."""
        self.is_written = False
        """Whether it is in the ledger, written along with what was done."""
        self._caller = caller
        self._is_settled = False

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be written."""
        is_there = self.is_written or self.is_done()
        return self._is_settled or (is_there and not self._caller.access.keeps_heads)

    def settle(self) -> None:
        """See to it that the row is in the ledger, which blocks. Raises `LedgerError`."""
        access = self._caller.access
        if self.is_written or self.is_done():
            access.told(self.row)
        else:
            # One that the ledger has by now all the same is left as it is: its id names it.
            access.tell(self.row)
        self._is_settled = True
