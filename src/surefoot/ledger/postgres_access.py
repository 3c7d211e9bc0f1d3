"""Changes of who may do what, with the audit's row on them, in one transaction on Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from surefoot.ledger import audit
from surefoot.ledger.audit import AuditRow
from surefoot.ledger.entries import Amend
from surefoot.ledger.postgres_accounts import CLOCK
from surefoot.ledger.postgres_connection import numbered

Connection = Any

# Any number that nobody else is likely to lock: rows of the audit follow one another.
_KNOWN = "SELECT id FROM audit WHERE id = ANY($1::text[])"
_LOCK = "SELECT pg_advisory_xact_lock(1635083369)"


async def amend(entry: Amend, connection: Connection) -> AuditRow:
    """See `Amend`. Done again after the connection was cut, it changes nothing and returns the same."""
    async with connection.transaction():
        await connection.execute(_LOCK)
        there = await connection.fetchrow(numbered(audit.BY_ID), entry.audit.id)
        if there is not None:
            return audit.audit_of(tuple(there))
        for change in entry.changes:
            await connection.execute(numbered(change.statement), *change.row)
        newest = await connection.fetchrow(audit.NEWEST)
        now: int = await connection.fetchval(f"SELECT {CLOCK}")
        seq, previous = (0, audit.AUDIT_GENESIS) if newest is None else (newest[0], bytes(newest[1]))
        row = entry.audit.after(seq, previous, at_ns=now)
        await connection.execute(numbered(audit.ADD), *row.row())
    return row


async def tell(told: Sequence[AuditRow], connection: Connection) -> None:
    """Write rows of the audit on other entries, those that are not there, in the transaction that is open.

    Rows of the audit follow one another, so others wait from here on until that ends: nothing slow comes behind it.
    """
    await connection.execute(_LOCK)
    known = {row[0] for row in await connection.fetch(_KNOWN, [row.id for row in told])}
    newest = await connection.fetchrow(audit.NEWEST)
    now: int = await connection.fetchval(f"SELECT {CLOCK}")
    seq, previous = (0, audit.AUDIT_GENESIS) if newest is None else (newest[0], bytes(newest[1]))
    added: list[AuditRow] = []
    for row in told:
        if row.id not in known:
            added.append(row.after(seq, previous, at_ns=now))
            seq, previous = added[-1].seq, added[-1].hash
    await connection.executemany(numbered(audit.ADD), [row.row() for row in added])
