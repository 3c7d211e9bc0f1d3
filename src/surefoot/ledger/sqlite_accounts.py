"""Accounts and holds in one SQLite transaction."""

from __future__ import annotations

import sqlite3
import time

from surefoot.errors import LedgerError
from surefoot.ledger.accounts import (
    KEPT_NS,
    Change,
    Shortage,
    Standing,
    Swept,
    has_part,
    is_over,
    settled,
)
from surefoot.ledger.entries import KeepHolds, Reserve, SweepHolds
from surefoot.ledger.holding import LONGEST_LEASE_NS
from surefoot.values import Settlement


def reserve(entry: Reserve, connection: sqlite3.Connection) -> tuple[Shortage, ...]:
    """Set money aside on all accounts, or say which have too little left. Raises `LedgerError`."""
    is_swept = False
    if entry.part:
        row = connection.execute(
            "SELECT parts, swept_ns IS NOT NULL FROM holds WHERE id = ?", (entry.hold,)
        ).fetchone()
        if row is None:
            raise gone(entry)
        if has_part(row[0], entry.part):
            return ()
        is_swept = bool(row[1])
    short: list[Shortage] = []
    unknown: list[str] = []
    for line in entry.lines:
        row = connection.execute(
            "SELECT spent, held, unsure FROM accounts WHERE id = ?", (line.account.id,)
        ).fetchone()
        if row is None:
            unknown.append(line.account.id)
        standing = Standing(*row) if row is not None else Standing()
        if standing.total + entry.amount > line.limit:
            short.append(Shortage(line, standing))
    if short:
        return tuple(short)
    for line in entry.lines:
        key = line.account
        if key.id in unknown:
            connection.execute(
                "INSERT INTO accounts (id, budget, kind, whose, period, ends_ns, spent, held, unsure) "
                "VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0)",
                (key.id, key.budget, key.kind, key.whose, key.period, key.ends_ns),
            )
    change = Change(entry.amount, 0, entry.amount) if is_swept else Change(0, entry.amount, 0)
    _book(connection, [line.account.id for line in entry.lines], change)
    if entry.part:
        connection.execute(
            "UPDATE holds SET held = held + ?, parts = parts || ? WHERE id = ?",
            (entry.amount, f"{entry.part} ", entry.hold),
        )
    else:
        connection.execute(
            "INSERT INTO holds (id, run_id, accounts, held, parts, owner, lease_until_ns) "
            "VALUES (?, ?, ?, ?, '', ?, ?)",
            (
                *(entry.hold, entry.run_id, " ".join(line.account.id for line in entry.lines)),
                *(entry.amount, entry.owner, time.time_ns() + entry.lease_ns),
            ),
        )
    return ()


def settle(settlement: Settlement, connection: sqlite3.Connection) -> None:
    """End a hold, or a part of it; nothing where that was done."""
    row = connection.execute(
        "SELECT accounts, held, parts, swept_ns IS NOT NULL FROM holds WHERE id = ?", (settlement.hold,)
    ).fetchone()
    if row is None or has_part(row[2], settlement.part):
        return
    _book(connection, row[0].split(), settled(settlement, is_swept=bool(row[3])))
    if is_over(settlement, row[1]):
        connection.execute("DELETE FROM holds WHERE id = ?", (settlement.hold,))
    else:
        connection.execute(
            "UPDATE holds SET held = held - ?, parts = parts || ? WHERE id = ?",
            (settlement.released.nanos, f"{settlement.part} ", settlement.hold),
        )


def keep(entry: KeepHolds, connection: sqlite3.Connection) -> None:
    """Prolong the leases of these holds."""
    until = time.time_ns() + entry.lease_ns
    connection.executemany(
        "UPDATE holds SET lease_until_ns = ? WHERE id = ?", [(until, hold) for hold in entry.holds]
    )


def sweep(entry: SweepHolds, connection: sqlite3.Connection) -> list[Swept]:
    """Book what nobody settles; what was booked so for long enough is forgotten."""
    now = time.time_ns()
    connection.execute("DELETE FROM holds WHERE swept_ns < ?", (now - KEPT_NS,))
    found = connection.execute(
        "SELECT id, run_id, accounts, held FROM holds WHERE swept_ns IS NULL AND (lease_until_ns < ? "
        f"OR lease_until_ns > ? OR owner IN ({', '.join('?' * len(entry.gone))}))",
        (now, now + LONGEST_LEASE_NS, *entry.gone),
    ).fetchall()
    for hold, _, accounts, held in found:
        _book(connection, accounts.split(), Change(held, -held, held))
        connection.execute("UPDATE holds SET swept_ns = ? WHERE id = ?", (now, hold))
    return [Swept(hold, run_id, held) for hold, run_id, _, held in found]


def gone(entry: Reserve) -> LedgerError:
    """The error for more of what is not there."""
    return LedgerError(
        f"run {entry.run_id or '-'}: the hold {entry.hold} of a budget has ended, so nothing can be added to it: "
        "make the call again"
    )


def _book(connection: sqlite3.Connection, accounts: list[str], change: Change) -> None:
    for account in accounts:
        connection.execute(
            "UPDATE accounts SET spent = spent + ?, held = held + ?, unsure = unsure + ? WHERE id = ?",
            (change.spent, change.held, change.unsure, account),
        )
