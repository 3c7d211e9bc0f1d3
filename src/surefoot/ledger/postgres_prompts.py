"""What is kept of prompts, and moves of their labels, as rows on Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from surefoot.ledger import prompt_rows
from surefoot.ledger.entries import KeepPrompts, MoveLabel, PromptEntry
from surefoot.ledger.notary import Notary
from surefoot.ledger.postgres_accounts import CLOCK
from surefoot.ledger.postgres_connection import numbered
from surefoot.ledger.prompt_rows import PromptRow
from surefoot.ledger.rows import clean
from surefoot.values import Label

Connection = Any

# Any number that nobody else is likely to lock, and the label: its moves come one after the other.
_LOCK = "SELECT pg_advisory_xact_lock(1953658224, hashtext($1))"


async def keep(rows: Sequence[PromptRow], connection: Connection, notary: Notary) -> None:
    """See `KeepPrompts`. Called again after the connection was cut, it changes nothing."""
    for statement, written in prompt_rows.statements(rows, notary):
        await connection.executemany(numbered(statement), written)


async def apply(entry: PromptEntry, connection: Connection, notary: Notary) -> Label | None:
    """What an entry returns. Called again after the connection was cut, it returns the same."""
    match entry:
        case KeepPrompts(rows):
            await keep(rows, connection, notary)
            return None
        case MoveLabel():
            return await _move(entry, connection, notary)


async def _move(entry: MoveLabel, connection: Connection, notary: Notary) -> Label:
    label = entry.label
    prompt, name = clean(label.prompt), clean(label.label)
    async with connection.transaction():
        await connection.execute(_LOCK, f"{name}@{prompt}")
        found = await connection.fetchrow(numbered(prompt_rows.MOVE_BY_ID), entry.id)
        if found is not None:
            return prompt_rows.label_of(tuple(found))
        await keep(entry.rows, connection, notary)
        before = await connection.fetchval(numbered(prompt_rows.NEWEST_MOVE), prompt, name)
        now: int = await connection.fetchval(f"SELECT {CLOCK}")
        row = prompt_rows.move_row(entry.id, label, before=before or "", moved_ns=now)
        await connection.execute(numbered(prompt_rows.MOVE), *row)
    return prompt_rows.label_of(row)
