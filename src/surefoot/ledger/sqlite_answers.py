"""Answers that are given again, and calls that are made for all who ask the same, as rows on SQLite."""

from __future__ import annotations

import sqlite3
import time

from surefoot.ledger import rows
from surefoot.ledger.entries import DropAnswers, KeepFlights, LeaveFlight, TakeFlight
from surefoot.ledger.events import Outcome
from surefoot.ledger.holding import LONGEST_LEASE_NS
from surefoot.ledger.owner import is_provably_gone
from surefoot.values import CacheRow

READABLE = (
    "EXISTS (SELECT 1 FROM outcomes o WHERE o.run_id = a.run_id AND o.key = a.step AND o.attempt = a.attempt "
    "AND o.status = 'completed' AND (o.output_view IS NOT NULL OR o.output_sealed IS NOT NULL))"
)
"""Whether the outcome that an answer lies in still holds it: pruning takes it away."""


def keep(outcome: Outcome, row: CacheRow, connection: sqlite3.Connection) -> None:
    """Note that the answer in an outcome is given again, and that its call has ended."""
    now = time.time_ns()
    connection.execute(
        "INSERT OR REPLACE INTO answers (key, tenant, flow, prompt, run_id, step, attempt, made_ns, expires_ns) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(row.key, row.tenant, row.flow, row.prompt),
            *(outcome.run_id, outcome.key, outcome.attempt, now, now + row.ttl_ns),
        ),
    )
    connection.execute("DELETE FROM flights WHERE key = ? AND token = ?", (row.key, row.token))


def take(entry: TakeFlight, connection: sqlite3.Connection) -> str:
    """See `TakeFlight`."""
    now = time.time_ns()
    answered = connection.execute(
        f"SELECT 1 FROM answers a WHERE key = ? AND tenant = ? AND expires_ns > ? AND made_ns >= ? AND {READABLE}",
        (entry.key, entry.tenant, now, now - entry.most_ns),
    ).fetchone()
    if answered is not None:
        return "answered"
    held = connection.execute(
        "SELECT owner, lease_until_ns FROM flights WHERE key = ? AND token <> ?", (entry.key, entry.token)
    ).fetchone()
    # A lease that reaches too far was written before the clock was set back.
    if (
        held is not None
        and now < held[1] <= now + LONGEST_LEASE_NS
        and not is_provably_gone(rows.owner(held[0]))
    ):
        return "busy"
    connection.execute(
        "INSERT OR REPLACE INTO flights (key, token, owner, lease_until_ns) VALUES (?, ?, ?, ?)",
        (entry.key, entry.token, rows.owner_text(entry.owner), now + entry.lease_ns),
    )
    return "led"


def renew(entry: KeepFlights, connection: sqlite3.Connection) -> None:
    """See `KeepFlights`."""
    until = time.time_ns() + entry.lease_ns
    connection.executemany(
        "UPDATE flights SET lease_until_ns = ? WHERE key = ? AND token = ?",
        [(until, key, token) for key, token in entry.held],
    )


def leave(entry: LeaveFlight, connection: sqlite3.Connection) -> None:
    """See `LeaveFlight`."""
    connection.execute("DELETE FROM flights WHERE key = ? AND token = ?", (entry.key, entry.token))


def drop(entry: DropAnswers, connection: sqlite3.Connection) -> int:
    """See `DropAnswers`."""
    conditions, values = condition(entry, time.time_ns())
    connection.execute("DELETE FROM flights WHERE lease_until_ns < ?", (time.time_ns() - LONGEST_LEASE_NS,))
    return connection.execute(f"DELETE FROM answers WHERE {conditions}", values).rowcount


def condition(entry: DropAnswers, now_ns: int) -> tuple[str, list[object]]:
    """Which answers are meant, with `?` for parameters."""
    choice = entry.choice
    if choice is None:
        return "expires_ns <= ?", [now_ns]
    facets = {"prompt": choice.prompt, "flow": choice.flow, "tenant": choice.tenant}
    terms = [f"{name} = ?" for name, value in facets.items() if value is not None]
    values: list[object] = [value for value in facets.values() if value is not None]
    if choice.older_ns is not None:
        terms.append("made_ns < ?")
        values.append(now_ns - choice.older_ns)
    return " AND ".join(terms) or "true", values
