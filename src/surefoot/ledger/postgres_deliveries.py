"""What webhooks are owed, taken and settled in one transaction on Postgres."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from surefoot.ledger import deliveries
from surefoot.ledger.deliveries import DeliveryRow
from surefoot.ledger.entries import DeliveryEntry, TakeDeliveries
from surefoot.ledger.postgres_accounts import CLOCK
from surefoot.ledger.postgres_connection import numbered

Connection = Any


async def apply(entry: DeliveryEntry, connection: Connection) -> list[DeliveryRow] | None:
    """What an entry returns. What was taken as the connection was cut is due again once its time is over."""
    async with connection.transaction():
        if isinstance(entry, TakeDeliveries):
            return await _take(entry, connection)
        for change in entry.changes:
            await connection.execute(numbered(change.statement), *change.row)
    return None


async def _take(entry: TakeDeliveries, connection: Connection) -> list[DeliveryRow]:
    now: int = await connection.fetchval(f"SELECT {CLOCK}")
    statement, values = deliveries.due_query(entry.webhook, now_ns=now, most=entry.most)
    # What somebody else is about to take is passed over, and not waited for.
    found = await connection.fetch(f"{numbered(statement)} FOR UPDATE SKIP LOCKED", *values)
    taken: list[DeliveryRow] = []
    for row in found:
        due = deliveries.delivery_of(tuple(row))
        change = deliveries.take(due, until_ns=now + entry.lease_ns)
        await connection.execute(numbered(change.statement), *change.row)
        taken.append(replace(due, tries=due.tries + 1, next_ns=now + entry.lease_ns))
    return taken
