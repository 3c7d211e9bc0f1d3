"""Changing the row of a run in work on the store as a whole, such that it stays known as this application's."""

from __future__ import annotations

from surefoot.ledger.chain import GENESIS
from surefoot.ledger.notary import STANDING_COLUMNS, Notary, Standing
from surefoot.ledger.tables import Session, one

_FOUND = f"SELECT head, mac, {STANDING_COLUMNS} FROM runs WHERE id = ?"


def change_run(session: Session, notary: Notary | None, run_id: str, change: str, *values: object) -> int:
    """Execute a statement that changes the row of that run, or none; how many rows it changed.

    The MAC is made anew. A run that somebody else has edited stays one: its MAC is not the right one before either.
    """
    found = next(session.rows(_FOUND, run_id), None)
    changed = session.change(change, *values)
    if changed and notary is not None and found is not None:
        head, mac, *columns = found
        if notary.knows_head(Standing.of(tuple(columns)), head, mac):
            head, _, *columns = one(session, _FOUND, run_id)
            made = notary.of_head(Standing.of(tuple(columns)), head or GENESIS)
            session.change("UPDATE runs SET mac = ? WHERE id = ?", made, run_id)
    return changed
