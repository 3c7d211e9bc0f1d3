"""Runs that somebody can go on with: accepted and not begun, left by a process that is gone, or waiting no longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from surefoot.ledger import rows
from surefoot.ledger.owner import is_provably_gone

if TYPE_CHECKING:
    from surefoot.ledger.events import Owner, RunRecord
    from surefoot.ledger.listing import Query
    from surefoot.ledger.store import Ledger

# A child run is gone on with by the run that began it.
_TOP = "(parent_run IS NULL OR run_key IS NULL OR substr(run_key, 1, length(parent_run) + 1) <> parent_run || '/')"


def due_runs(
    ledger: Ledger, flows: Sequence[str], *, now_ns: int, pending_before_ns: int, most: int
) -> list[RunRecord]:
    """The runs of these flows that nobody is at and that can be gone on with, the oldest first, at most so many.

    now_ns: the time (nanoseconds since the epoch). A run that was accepted counts if that was before
        `pending_before_ns`: whoever has accepted it may be about to begin it.

    Failed runs are none of them: somebody decides whether to go on with these. Raises `LedgerError`.
    """
    if not flows:
        return []
    queries = [
        _of("status = 'pending' AND created_ns < ?", [pending_before_ns], flows, most),
        _of("status = 'running' AND lease_until_ns < ?", [now_ns], flows, most),
        _of("status = 'waiting' AND lease_until_ns <= ?", [now_ns], flows, most),
    ]
    queries += [
        _of("status = 'running' AND owner = ?", [rows.owner_text(owner)], flows, most)
        for owner in _gone_owners(ledger)
    ]
    found = {row[0]: row for query in queries for row in ledger.ask(query)}
    return [rows.run_record(found[run_id]) for run_id in sorted(found)[:most]]


def letters_of(ledger: Ledger, flows: Sequence[str]) -> dict[str, tuple[int, int]]:
    """The runs of these flows that wait and have something in their inbox: the number of the newest, and their epoch.

    Not each of them is what its run waits for. Raises `LedgerError`.
    """
    if not flows:
        return {}
    statement = (
        "SELECT runs.id, max(inbox.seq), runs.epoch FROM runs JOIN inbox ON inbox.run_id = runs.id "
        f"WHERE runs.status = 'waiting' AND inbox.adopted_ns IS NULL AND runs.flow IN ({_places(flows)}) "
        "GROUP BY runs.id, runs.epoch"
    )
    found = ledger.ask((statement, tuple(flows)))
    return {row[0]: (row[1], row[2]) for row in found}


def statuses(ledger: Ledger, flows: Sequence[str]) -> dict[str, int]:
    """How many runs of these flows are not over yet, by status. Raises `LedgerError`."""
    if not flows:
        return {}
    statement = (
        "SELECT status, count(*) FROM runs WHERE status IN ('pending', 'running', 'waiting', 'in_doubt') "
        f"AND flow IN ({_places(flows)}) GROUP BY status"
    )
    found = ledger.ask((statement, tuple(flows)))
    return {row[0]: row[1] for row in found}


def _gone_owners(ledger: Ledger) -> list[Owner]:
    found = ledger.ask(("SELECT DISTINCT owner FROM runs WHERE status = 'running' AND owner IS NOT NULL", ()))
    return [owner for row in found if is_provably_gone(owner := rows.owner(row[0]))]


def _of(condition: str, values: list[object], flows: Sequence[str], most: int) -> Query:
    statement = (
        f"SELECT {rows.RUN_COLUMNS} FROM runs WHERE {condition} AND flow IN ({_places(flows)}) AND {_TOP} "
        "ORDER BY id LIMIT ?"
    )
    return statement, (*values, *flows, most)


def _places(flows: Sequence[str]) -> str:
    return ", ".join("?" * len(flows))
