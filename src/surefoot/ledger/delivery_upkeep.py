"""Deliveries under work on the store as a whole: what goes with a run that is pruned, and what it was still owed for.

What is old goes whoever waits for it; what somebody was never told by that is counted, and said.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import cast

from surefoot.ledger import deliveries, schema
from surefoot.ledger.selecting import Condition
from surefoot.ledger.tables import Session, Tables

# Scores that came later are told of beside the trace, and are no loss of their own.
_IS_OWED = f"done_ns IS NULL AND event <> '{deliveries.SCORES}'"


def has_deliveries(tables: Tables) -> bool:
    return tables.format() >= schema.since("deliveries")


def drop_deliveries(session: Session, run_id: str, untold: MutableMapping[str, int], *, now_ns: int) -> None:
    """Drop what stands of a run whose rows are gone. What was still owed is counted in the ledger and in `untold`."""
    found = session.rows(
        f"SELECT DISTINCT webhook FROM deliveries WHERE run_id = ? AND {_IS_OWED} ORDER BY webhook", run_id
    )
    for name in [cast("str", row[0]) for row in found]:
        # By what was dropped: somebody may have sent it meanwhile.
        count = session.change(
            f"DELETE FROM deliveries WHERE run_id = ? AND webhook = ? AND {_IS_OWED}", run_id, name
        )
        if count:
            lost = deliveries.lose(name, count, now_ns=now_ns)
            session.change(lost.statement, *lost.row)
            untold[name] = untold.get(name, 0) + count
    session.change("DELETE FROM deliveries WHERE run_id = ?", run_id)


def count_untold(tables: Tables, session: Session, doomed: Condition) -> Iterable[tuple[str, int]]:
    """What would be counted if the rows of the runs `doomed` were dropped now, by name."""
    if not has_deliveries(tables):
        return ()
    term, parameters = doomed
    found = session.rows(
        f"SELECT webhook, count(*) FROM deliveries WHERE {_IS_OWED} "
        f"AND run_id IN (SELECT id FROM runs WHERE {term}) GROUP BY webhook ORDER BY webhook",
        *parameters,
    )
    return [(cast("str", name), cast("int", count)) for name, count in found]
