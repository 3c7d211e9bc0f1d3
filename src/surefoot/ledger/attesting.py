"""MACs for what a ledger holds from before they were made: taken as it stands, once, as the tables are brought forward.

All of it, so that from there on nothing without a MAC is gone on with, and taking one away leads nowhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from surefoot import scope
from surefoot.ledger import prompt_rows
from surefoot.ledger.chain import GENESIS
from surefoot.ledger.events import Message
from surefoot.ledger.listing import Query
from surefoot.ledger.notary import STANDING_COLUMNS, Standing
from surefoot.ledger.payloads import PLAIN, Payloads
from surefoot.ledger.rows import Row
from surefoot.ledger.sealing import DataKey

_PAGE = 500

_HEAD = "coalesce(head, (SELECT o.hash FROM outcomes o WHERE o.run_id = runs.id ORDER BY o.seq DESC LIMIT 1)) AS head"

log = scope.logger("surefoot.ledger")


@dataclass(frozen=True, slots=True)
class _Change:
    """A statement, with the rows that it is executed with."""

    statement: str
    rows: Sequence[Row]


_Asked = Query | _Change


def attesting(payloads: Payloads, where: str, *, is_export: bool) -> Generator[_Asked, list[Row], None]:
    """What is to be asked and written, in the transaction that brings the tables to format 8.

    Raises `LedgerError` under another application key than that of the newest sealed part: all runs would be that
    key's from here on.
    """
    newest = yield ("SELECT id, run_id, wrapped FROM data_keys ORDER BY id DESC LIMIT 1", ())
    if newest:
        payloads.keyring.unwrap(DataKey(*newest[0]))
    notary = payloads.notary
    number = yield from _paged(
        f"SELECT id, {_HEAD}, {STANDING_COLUMNS} FROM runs WHERE id > ? ORDER BY id LIMIT {_PAGE}",
        "UPDATE runs SET head = ?, mac = ? WHERE id = ?",
        lambda row: (row[1], notary.of_head(Standing.of(row[2:]), row[1] or GENESIS), row[0]),
    )
    # One that was taken is not looked at again, and has no MAC, lest somebody sends it again.
    yield from _paged(
        "SELECT id, run_id, kind, sent_ns, body FROM inbox WHERE adopted_ns IS NULL AND id > ? "
        f"ORDER BY id LIMIT {_PAGE}",
        "UPDATE inbox SET mac = ? WHERE id = ?",
        lambda row: (notary.of_message(Message(*row)), row[0]),
    )
    yield from _paged(
        f"SELECT {prompt_rows.PIN_COLUMNS} FROM prompt_pins WHERE (run_id, reference) > (?, ?) "
        f"ORDER BY run_id, reference LIMIT {_PAGE}",
        "UPDATE prompt_pins SET mac = ? WHERE run_id = ? AND reference = ?",
        lambda row: (prompt_rows.with_mac(row, notary)[-1], *row[:2]),
        keys=2,
    )
    yield from _paged(
        f"SELECT digest, local_digest FROM imported_blobs WHERE digest > ? ORDER BY digest LIMIT {_PAGE}",
        "UPDATE imported_blobs SET local_digest = ? WHERE digest = ?",
        lambda row: (_name(payloads, *row, is_export=is_export), row[0]),
    )
    if number:
        # Seen where nobody has brought anything forward, it says that somebody has taken the tables back.
        log.warning(
            "the ledger %s was brought to format 8: %d runs from before were taken as they stand, and are under the "
            "application's key from now on",
            *(where, number),
        )


def _name(payloads: Payloads, digest: str, kept: str, *, is_export: bool) -> str:
    """How a blob is kept from now on that another application has named."""
    if not kept.startswith(PLAIN):
        return payloads.other_name(digest, kept)
    # In a ledger it never counted.
    return payloads.exported_name(digest, kept) if is_export else kept


def _paged(
    query: str, statement: str, changed: Callable[[Row], Row], *, keys: int = 1
) -> Generator[_Asked, list[Row], int]:
    """Change all that a query finds, whose parameters are the first columns of the last row that was seen; how many."""
    after, number = ("",) * keys, 0
    while page := (yield (query, after)):
        yield _Change(statement, [changed(row) for row in page])
        after = page[-1][:keys]
        number += len(page)
    return number


def attest(connection: sqlite3.Connection, payloads: Payloads, where: str) -> None:
    """`attesting` on SQLite, in the open transaction."""
    is_export = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'export'").fetchone() is not None
    steps = attesting(payloads, where, is_export=is_export)
    found: list[Row] | None = None
    while (asked := _next(steps, found)) is not None:
        if isinstance(asked, _Change):
            connection.executemany(asked.statement, asked.rows)
            found = []
        else:
            found = connection.execute(*asked).fetchall()


async def attest_async(connection: Any, payloads: Payloads, where: str) -> None:
    """`attesting` on Postgres, in the open transaction."""
    from surefoot.ledger.postgres_connection import numbered

    steps = attesting(payloads, where, is_export=False)
    found: list[Row] | None = None
    while (asked := _next(steps, found)) is not None:
        if isinstance(asked, _Change):
            await connection.executemany(numbered(asked.statement), asked.rows)
            found = []
        else:
            statement, values = asked
            found = [tuple(row) for row in await connection.fetch(numbered(statement), *values)]


def _next(steps: Generator[_Asked, list[Row], None], found: list[Row] | None) -> _Asked | None:
    try:
        return next(steps) if found is None else steps.send(found)
    except StopIteration:
        return None
