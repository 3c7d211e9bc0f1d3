"""Accounts and holds under work on the store as a whole: what of them is checked, dropped and forgotten.

A backup carries them; an export does not, as they are of the application and not of its runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from surefoot.ledger.selecting import Condition
from surefoot.ledger.tables import Session, Tables, one
from surefoot.values import Money

_SINCE_FORMAT = 4

# Of a run whose rows are gone, or will be; of a period that has ended. Not of one on which something is held.
_OF_GONE_RUNS = (
    "kind = 'run' AND held = 0 AND (NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = accounts.whose "
    "AND (runs.pruned IS NULL OR runs.pruned <> 'run')) OR whose IN (SELECT id FROM runs WHERE {}))"
)
_OF_ENDED_PERIODS = "kind <> 'run' AND held = 0 AND ends_ns < ?"


def drop_accounts(tables: Tables, *, before_ns: int | None) -> int:
    """Drop the accounts of pruned runs, and of periods that ended before that time; how many."""
    if tables.format() < _SINCE_FORMAT:
        return 0
    with tables.writing() as session:
        return sum(
            session.change(f"DELETE FROM accounts WHERE {term}", *values)
            for term, values in _droppable(("1 = 0", ()), before_ns)
        )


def count_accounts(tables: Tables, doomed: Condition, *, before_ns: int | None) -> int:
    """How many `drop_accounts` would drop if the runs `doomed` were pruned."""
    if tables.format() < _SINCE_FORMAT:
        return 0
    with tables.reading() as session:
        return sum(
            cast("int", one(session, f"SELECT count(*) FROM accounts WHERE {term}", *values)[0])
            for term, values in _droppable(doomed, before_ns)
        )


def _droppable(doomed: Condition, before_ns: int | None) -> list[Condition]:
    conditions: list[Condition] = [(_OF_GONE_RUNS.format(doomed[0]), doomed[1])]
    if before_ns is not None:
        conditions.append((_OF_ENDED_PERIODS, (before_ns,)))
    return conditions


def forget_principals(tables: Tables, session: Session, run_ids: Sequence[str]) -> None:
    """Take the names of those for whom these runs were off their accounts.

    The accounts go on without: each is known by a digest of its name.
    """
    if tables.format() < _SINCE_FORMAT:
        return
    held = f"({', '.join('?' * len(run_ids))})"
    found = session.rows(f"SELECT DISTINCT principal FROM runs WHERE id IN {held}", *run_ids)
    principals = {cast("str", row[0]) for row in found}
    for principal in sorted(principals - {""}):
        session.change("UPDATE accounts SET whose = '' WHERE kind = 'principal' AND whose = ?", principal)


def wrong_accounts(tables: Tables) -> Iterator[str]:
    """Accounts on which something else is held than by their holds, in words."""
    if tables.format() < _SINCE_FORMAT:
        return
    with tables.reading() as session:
        expected: dict[str, int] = {}
        for accounts, held in session.rows("SELECT accounts, held FROM holds WHERE swept_ns IS NULL"):
            for account in accounts.split():
                expected[account] = expected.get(account, 0) + held
        for account, budget, kind, whose, period, held, spent, unsure in session.rows(
            "SELECT id, budget, kind, whose, period, held, spent, unsure FROM accounts"
        ):
            due = expected.pop(account, 0)
            if held != due or spent < 0 or unsure > spent:
                of = f" of {kind} {whose!r}" if whose else ""
                of += f" in {period}" if period else ""
                yield (
                    f"the account of budget {budget!r}{of} says that {Money(held)} is held and {Money(spent)} spent, "
                    f"where its holds are {Money(due)}"
                )
        for account in expected:
            yield f"a hold names the account {account}, which is not there"
