"""Changes of who may do what, with the audit's row on them, in one SQLite transaction."""

from __future__ import annotations

import sqlite3
import time

from surefoot.ledger import audit
from surefoot.ledger.audit import AuditRow
from surefoot.ledger.entries import Amend


def amend(entry: Amend, connection: sqlite3.Connection) -> AuditRow:
    """See `Amend`."""
    there = connection.execute(audit.BY_ID, (entry.audit.id,)).fetchone()
    if there is not None:
        return audit.audit_of(there)
    for change in entry.changes:
        connection.execute(change.statement, change.row)
    return _written(entry.audit, connection)


def tell(audit_row: AuditRow, connection: sqlite3.Connection) -> None:
    """Write the row of the audit on another entry, unless it is there."""
    if connection.execute(audit.BY_ID, (audit_row.id,)).fetchone() is None:
        _written(audit_row, connection)


def _written(audit_row: AuditRow, connection: sqlite3.Connection) -> AuditRow:
    newest = connection.execute(audit.NEWEST).fetchone()
    seq, previous = (0, audit.AUDIT_GENESIS) if newest is None else newest
    row = audit_row.after(seq, previous, at_ns=time.time_ns())
    connection.execute(audit.ADD, row.row())
    return row
