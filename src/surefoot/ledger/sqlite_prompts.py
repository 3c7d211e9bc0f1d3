"""What is kept of prompts, and moves of their labels, in one SQLite transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from surefoot.ledger import prompt_rows
from surefoot.ledger.entries import MoveLabel
from surefoot.ledger.notary import Notary
from surefoot.ledger.prompt_rows import PromptRow
from surefoot.ledger.rows import clean
from surefoot.values import Label


def keep(rows: Sequence[PromptRow], connection: sqlite3.Connection, notary: Notary) -> None:
    """See `KeepPrompts`."""
    for statement, written in prompt_rows.statements(rows, notary):
        connection.executemany(statement, written)


def move(entry: MoveLabel, connection: sqlite3.Connection, notary: Notary) -> Label:
    """See `MoveLabel`."""
    label = entry.label
    keep(entry.rows, connection, notary)
    found = connection.execute(prompt_rows.NEWEST_MOVE, (clean(label.prompt), clean(label.label))).fetchone()
    before = found[0] if found else ""
    row = prompt_rows.move_row(entry.id, label, before=before, moved_ns=time.time_ns())
    connection.execute(prompt_rows.MOVE, row)
    return prompt_rows.label_of(row)
