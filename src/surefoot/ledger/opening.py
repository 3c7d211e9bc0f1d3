"""The tables behind a ledger, for work on the store as a whole."""

from __future__ import annotations

from surefoot.errors import LedgerError
from surefoot.ledger.sqlite import SqliteLedger
from surefoot.ledger.store import Ledger
from surefoot.ledger.tables import SqliteTables, Tables


def tables_of(ledger: Ledger) -> Tables:
    """The tables of a ledger, through a connection of their own. Close them. Raises `LedgerError`."""
    # Tables of an earlier version are brought forward by reading.
    ledger.format()
    if isinstance(ledger, SqliteLedger):
        return SqliteTables(ledger.path, synchronous=ledger.synchronous, notary=ledger.payloads.notary)
    from surefoot.ledger.postgres import PostgresLedger
    from surefoot.ledger.postgres_tables import PostgresTables

    if isinstance(ledger, PostgresLedger):
        return PostgresTables(ledger.address, notary=ledger.payloads.notary)
    raise LedgerError(f"the ledger {ledger.where} cannot be worked on as a whole")
