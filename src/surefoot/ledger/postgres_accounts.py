"""Accounts and holds on Postgres: rows that all processes write to, each change in one statement where that can be.

Whoever locks several rows locks those of runs first, then holds, then accounts sorted by their id: so no two processes
wait for each other in turn. Under READ COMMITTED an update waits for whoever has changed the row, and then counts from
what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from surefoot.ledger.accounts import KEPT_NS, Shortage, Standing, Swept, has_part
from surefoot.ledger.entries import KeepHolds, Reserve, SweepHolds
from surefoot.ledger.holding import LONGEST_LEASE_NS
from surefoot.ledger.rows import Row
from surefoot.ledger.sqlite_accounts import gone
from surefoot.values import Settlement

CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000000000)::bigint"
"""The server's clock, in nanoseconds since the epoch: leases of all machines go by it."""

Connection = Any

_CHANGE_ACCOUNTS = (
    "changes AS MATERIALIZED (SELECT account AS id, "
    "sum(CASE WHEN s.was_swept THEN 0 ELSE s.freed END)::bigint AS freed, "
    "sum(CASE WHEN s.was_swept THEN s.freed ELSE 0 END)::bigint AS sure, "
    "sum(s.charged)::bigint AS charged "
    "FROM settled s, unnest(string_to_array(s.accounts, ' ')) AS account GROUP BY account), "
    "locked AS MATERIALIZED (SELECT accounts.id FROM accounts "
    "WHERE accounts.id IN (SELECT id FROM changes) ORDER BY accounts.id FOR UPDATE), "
    "booked AS (UPDATE accounts SET held = accounts.held - c.freed, "
    "spent = accounts.spent + c.charged - c.sure, unsure = accounts.unsure - c.sure "
    "FROM changes c JOIN locked l ON l.id = c.id WHERE accounts.id = c.id)"
)

SETTLEMENT_TYPES = ("text", "text", "bigint", "bigint", "bool", "bigint")


def settling(first: int, where: str = "") -> str:
    """The parts of a statement that settle holds, each at most once, from parameters that begin at `first`.

    `where` is a term on `g.run_id`.
    """
    arrays = ", ".join(f"${first + n}::{kind}[]" for n, kind in enumerate(SETTLEMENT_TYPES))
    return (
        "given AS MATERIALIZED (SELECT * "
        f"FROM unnest({arrays}) AS g (hold, run_id, released, charged, closes, part) {where}), "
        "closed AS (DELETE FROM holds USING given g WHERE holds.id = g.hold "
        "AND (g.closes AND g.released = holds.held) "
        "RETURNING holds.accounts, holds.held AS freed, g.charged, holds.swept_ns IS NOT NULL AS was_swept), "
        "drawn AS (UPDATE holds SET held = holds.held - g.released, parts = holds.parts || g.part || ' ' "
        "FROM given g WHERE holds.id = g.hold AND NOT (g.closes AND g.released = holds.held) "
        "AND position(' ' || g.part || ' ' IN ' ' || holds.parts) = 0 "
        "RETURNING holds.accounts, g.released AS freed, g.charged, holds.swept_ns IS NOT NULL AS was_swept), "
        "settled AS (SELECT * FROM closed UNION ALL SELECT * FROM drawn), " + _CHANGE_ACCOUNTS
    )


SETTLE = f"WITH {settling(1)} SELECT 1"

KEEP = f"UPDATE holds SET lease_until_ns = {CLOCK} + $2::bigint WHERE id = ANY($1::text[])"

SWEEP = (
    "WITH found AS MATERIALIZED (SELECT id FROM holds WHERE swept_ns IS NULL AND (owner = ANY($1::text[]) "
    f"OR lease_until_ns < {CLOCK} OR lease_until_ns > {CLOCK} + {LONGEST_LEASE_NS}) "
    "ORDER BY id FOR UPDATE SKIP LOCKED), "
    f"swept AS (UPDATE holds SET swept_ns = {CLOCK} FROM found WHERE holds.id = found.id "
    "RETURNING holds.id, holds.run_id, holds.accounts, holds.held), "
    # All that was held moves to what is spent: freed, and charged as not sure.
    "changes AS MATERIALIZED (SELECT account AS id, sum(s.held)::bigint AS amount "
    "FROM swept s, unnest(string_to_array(s.accounts, ' ')) AS account GROUP BY account), "
    "locked AS MATERIALIZED (SELECT accounts.id FROM accounts "
    "WHERE accounts.id IN (SELECT id FROM changes) ORDER BY accounts.id FOR UPDATE), "
    "booked AS (UPDATE accounts SET held = accounts.held - c.amount, spent = accounts.spent + c.amount, "
    "unsure = accounts.unsure + c.amount FROM changes c JOIN locked l ON l.id = c.id WHERE accounts.id = c.id) "
    "SELECT id, run_id, held FROM swept"
)
FORGET = f"DELETE FROM holds WHERE swept_ns < {CLOCK} - {KEPT_NS}"

_HOLD_ARRAYS = "unnest($5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::bigint[])"
_MAKE_HOLDS = (
    "INSERT INTO holds (id, run_id, accounts, held, parts, owner, lease_until_ns) "
    f"SELECT h.id, h.run_id, h.accounts, h.held, '', h.owner, {CLOCK} + h.lease_ns "
    "FROM {arrays} AS h (id, run_id, accounts, held, owner, lease_ns)"
)
# Everything that a batch asks for, if all of it fits. An account that is not there yet does not.
RESERVE = (
    "WITH asked AS MATERIALIZED (SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) "
    "AS a (id, amount, highest)), "
    "locked AS MATERIALIZED (SELECT id, spent, held FROM accounts WHERE id = ANY($1::text[]) "
    "ORDER BY id FOR UPDATE), "
    "fitting AS MATERIALIZED (SELECT count(*) = $4::bigint "
    "AND coalesce(bool_and(l.spent + l.held + a.amount <= a.highest), true) AS fits "
    "FROM locked l JOIN asked a ON a.id = l.id), "
    "booked AS (UPDATE accounts SET held = accounts.held + a.amount FROM asked a, fitting "
    "WHERE fitting.fits AND accounts.id = a.id), "
    f"made AS ({_MAKE_HOLDS.format(arrays=_HOLD_ARRAYS)}, fitting WHERE fitting.fits) "
    "SELECT fits FROM fitting"
)
_MAKE_ACCOUNTS = (
    "INSERT INTO accounts (id, budget, kind, whose, period, ends_ns, spent, held, unsure) "
    "SELECT a.*, 0, 0, 0 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) "
    "AS a ON CONFLICT (id) DO NOTHING"
)
_LOCK_HOLDS = (
    "SELECT id, parts, swept_ns IS NOT NULL FROM holds WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE"
)
_LOCK_ACCOUNTS = (
    "SELECT id, spent, held, unsure FROM accounts WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE"
)
_MAKE = _MAKE_HOLDS.format(
    arrays="unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[])"
)
_ADD = "UPDATE holds SET held = held + $2::bigint, parts = parts || $3::text WHERE id = $1"
_PARTS = "SELECT id, parts FROM holds WHERE id = ANY($1::text[])"

Answer = tuple[Shortage, ...] | Exception
"""What becomes of one `Reserve`: nothing is short, some accounts are, or it is refused."""


def settlement_arrays(settlements: Iterable[tuple[str, Settlement]]) -> list[Sequence[Any]]:
    """Parameters of `settling`: each settlement with the run whose outcome it is committed with."""
    rows = [
        (s.hold, run_id, s.released.nanos, s.charged.nanos, s.closes, s.part) for run_id, s in settlements
    ]
    return _columns(rows, len(SETTLEMENT_TYPES))


async def reserve(entries: Sequence[Reserve], connection: Connection) -> list[Answer]:
    """Set money aside for each, in this order: all at once where all of it fits, else one after the other."""
    if not any(entry.part for entry in entries):
        asked: dict[str, tuple[int, int]] = {}
        for entry in entries:
            for line in entry.lines:
                amount, highest = asked.get(line.account.id, (0, line.limit))
                asked[line.account.id] = (amount + entry.amount, min(highest, line.limit))
        fits = await connection.fetchval(
            RESERVE,
            *(list(asked), [a for a, _ in asked.values()], [h for _, h in asked.values()], len(asked)),
            *_columns([_hold_row(entry) for entry in entries], 6),
        )
        if fits:
            return [()] * len(entries)
    transaction = connection.transaction()
    await transaction.start()
    try:
        answers = await _one_by_one(entries, connection)
    except BaseException:
        if not connection.is_closed():
            await transaction.rollback()
        raise
    # Accounts that were made for calls which are all refused would only stand about.
    await (transaction.commit() if () in answers else transaction.rollback())
    return answers


async def found(entries: Sequence[Reserve], connection: Connection) -> list[bool]:
    """Which of these were set aside before the connection was cut."""
    parts = dict(map(tuple, await connection.fetch(_PARTS, [entry.hold for entry in entries])))
    return [
        entry.hold in parts and (not entry.part or has_part(parts[entry.hold], entry.part))
        for entry in entries
    ]


async def settle(settlements: Sequence[Settlement], connection: Connection) -> None:
    """End holds, or parts of them, none of them twice."""
    await connection.execute(SETTLE, *settlement_arrays(("", settlement) for settlement in settlements))


async def apply(entry: KeepHolds | SweepHolds, connection: Connection) -> object:
    """Prolong leases, or book what nobody settles; what the entry returns."""
    if isinstance(entry, KeepHolds):
        await connection.execute(KEEP, sorted(entry.holds), entry.lease_ns)
        return None
    # What was booked so for long enough is forgotten.
    await connection.execute(FORGET)
    return [Swept(*row) for row in await connection.fetch(SWEEP, list(entry.gone))]


async def _one_by_one(entries: Sequence[Reserve], connection: Connection) -> list[Answer]:
    """Decide here, under locks on all that is asked of."""
    added = sorted({entry.hold for entry in entries if entry.part})
    holds: dict[str, tuple[str, bool]] = {}
    if added:
        holds = {row[0]: (row[1], row[2]) for row in await connection.fetch(_LOCK_HOLDS, added)}
    keys = {line.account.id: line.account for entry in entries for line in entry.lines}
    ids = sorted(keys)
    rows = [
        (key.id, key.budget, key.kind, key.whose, key.period, key.ends_ns)
        for key in map(keys.__getitem__, ids)
    ]
    await connection.execute(_MAKE_ACCOUNTS, *_columns(rows, 6))
    standings = {
        row[0]: Standing(row[1], row[2], row[3]) for row in await connection.fetch(_LOCK_ACCOUNTS, ids)
    }
    answers: list[Answer] = []
    made: list[Row] = []
    for entry in entries:
        is_swept = False
        if entry.part:
            if entry.hold not in holds:
                answers.append(gone(entry))
                continue
            parts, is_swept = holds[entry.hold]
            if has_part(parts, entry.part):
                answers.append(())
                continue
        short = tuple(
            Shortage(line, standings[line.account.id])
            for line in entry.lines
            if standings[line.account.id].total + entry.amount > line.limit
        )
        answers.append(short)
        if short:
            continue
        for line in entry.lines:
            at = standings[line.account.id]
            more = (entry.amount, 0) if is_swept else (0, entry.amount)
            standings[line.account.id] = Standing(at.spent + more[0], at.held + more[1], at.unsure + more[0])
        if entry.part:
            await connection.execute(_ADD, entry.hold, entry.amount, f"{entry.part} ")
            holds[entry.hold] = (f"{holds[entry.hold][0]}{entry.part} ", is_swept)
        else:
            made.append(_hold_row(entry))
    await _write(made, {account: standings[account] for account in ids}, connection)
    return answers


async def _write(made: Sequence[Row], standings: dict[str, Standing], connection: Connection) -> None:
    rows = [(account, at.spent, at.held, at.unsure) for account, at in standings.items()]
    await connection.execute(
        "UPDATE accounts SET spent = c.spent, held = c.held, unsure = c.unsure "
        "FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS c (id, spent, held, unsure) "
        "WHERE accounts.id = c.id AND (accounts.spent <> c.spent OR accounts.held <> c.held)",
        *_columns(rows, 4),
    )
    if made:
        await connection.execute(_MAKE, *_columns(made, 6))


def _hold_row(entry: Reserve) -> Row:
    accounts = " ".join(line.account.id for line in entry.lines)
    return (entry.hold, entry.run_id, accounts, entry.amount, entry.owner, entry.lease_ns)


def _columns(table: Sequence[Row], width: int) -> list[Sequence[Any]]:
    return list(zip(*table, strict=True)) if table else [()] * width
