"""What a run records while it goes on elsewhere, for whoever follows it: its outcomes by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot.ledger import rows

if TYPE_CHECKING:
    from surefoot.ledger.chain import Link
    from surefoot.ledger.events import Outcome
    from surefoot.ledger.store import Ledger


def links_after(ledger: Ledger, run_id: str, seq: int, *, most: int) -> list[Link]:
    """The outcomes of a run that were recorded behind the one with this number, at most so many; 0 for all.

    They come without payloads. Raises `LedgerError`.
    """
    statement = (
        # By the index of runs, whose order is not that of the numbers.
        f"SELECT seq, {rows.FACT_COLUMNS} FROM outcomes WHERE seq IN "
        "(SELECT seq FROM outcomes WHERE run_id = ? AND seq > ?) ORDER BY seq LIMIT ?"
    )
    return [rows.link(row[0], row[1:]) for row in ledger.ask((statement, (run_id, seq, most)))]


def recorded_at(ledger: Ledger, seq: int) -> Outcome | None:
    """The outcome of this number with its payloads; None where there is none any more. Raises `LedgerError`."""
    found = ledger.ask((f"SELECT {rows.STORED_COLUMNS} FROM outcomes WHERE seq = ?", (seq,)))
    return rows.outcome(found[0]) if found else None
