"""What webhooks are owed, taken and settled in one SQLite transaction."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace

from surefoot.ledger import deliveries
from surefoot.ledger.deliveries import DeliveryRow
from surefoot.ledger.entries import TakeDeliveries, TellDeliveries


def tell(entry: TellDeliveries, connection: sqlite3.Connection) -> None:
    """See `TellDeliveries`."""
    for change in entry.changes:
        connection.execute(change.statement, change.row)


def take(entry: TakeDeliveries, connection: sqlite3.Connection) -> list[DeliveryRow]:
    """See `TakeDeliveries`."""
    now = time.time_ns()
    found = connection.execute(*deliveries.due_query(entry.webhook, now_ns=now, most=entry.most)).fetchall()
    taken: list[DeliveryRow] = []
    for due in map(deliveries.delivery_of, found):
        change = deliveries.take(due, until_ns=now + entry.lease_ns)
        connection.execute(change.statement, change.row)
        taken.append(replace(due, tries=due.tries + 1, next_ns=now + entry.lease_ns))
    return taken
